"""Charts as Vega-Lite: one file a chart, one definition for report, Markdown and notebooks."""
