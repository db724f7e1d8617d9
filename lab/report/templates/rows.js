// The rows that charts draw, as lab/report/charts/quality.py and lines.py make them. Tested against them.
"use strict";

function armRows(decision, looks) {
  return decision.arms.map((a, n) => ({
    ...a, ...looks[a.name], arm: a.label + (a.label === decision.chosen ? " (chosen)" : ""), taken: a.label === decision.chosen, order: n,
    forgetting: a.forgetting === null ? null : 100 * a.forgetting, forgetting_low: 100 * a.forgetting_low, forgetting_high: 100 * a.forgetting_high,
    accuracy: 100 * a.accuracy, low: 100 * a.low, high: 100 * a.high, content: a.content === null ? null : 100 * a.content, text: percent(a.accuracy) }));
}

function lineRows(arms, looks, settings, volumes) {
  const own = settings.monthly_requests, shown = [...new Set([...volumes, Math.max(1, own)])].sort((a, b) => a - b);
  return arms.flatMap((a) => shown.map((v) => ({
    ...looks[a.name], arm: a.label, requests: v, usd: monthlyUsd(a, pricesOf(a, settings), v).total, own: v === own })));
}
