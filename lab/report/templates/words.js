// Texts of the page: what differs between two of them, and the decision as Markdown.
"use strict";

// Words and the spaces behind them.
const wordsOf = (text) => text.match(/\s*\S+|\s+$/g) ?? [];
// Pieces of `text` as [piece, stands not in `wanted`], by the longest common run of words; whole where both are long.
function differences(text, wanted) {
  const a = wordsOf(text), b = wordsOf(wanted), same = (x, y) => x.trim() === y.trim();
  if (a.length * b.length > 40000) return [[text, false]];
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--) common[i][j] = same(a[i], b[j]) ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const pieces = [];
  const add = (word, other) => (pieces.length && pieces[pieces.length - 1][1] === other ? (pieces[pieces.length - 1][0] += word) : pieces.push([word, other]));
  let i = 0, j = 0;
  while (i < a.length) {
    if (j < b.length && same(a[i], b[j])) { add(a[i++], false); j++; }
    else if (j < b.length && common[i][j + 1] >= common[i + 1][j]) j++;
    else add(a[i++], true);
  }
  return pieces;
}

// What the arm that is taken, or leads, costs and forgets.
function priceOf(decision, settings) {
  const arm = decision.arms.find((a) => a.label === decision.chosen || a.label === decision.leader);
  if (!arm) return "";
  const prices = pricesOf(arm, settings), paid = prices.hosting === "api" ? "the API's prices" : usd(prices.price_per_hour_usd) + " a machine hour";
  const told = `It costs ${usd(arm.monthly_usd)} a month at ${whole(settings.monthly_requests)} requests and ${paid}.`;
  if (arm.forgetting === null) return told;
  const between = `(${points(arm.forgetting_low)} to ${points(arm.forgetting_high)})`;
  if (arm.forgetting_low > 0) return `${told} It forgets ${points(arm.forgetting)} of what the base could do ${between}: look at that where the weights serve other tasks as well.`;
  if (arm.forgetting_high < 0) return `${told} It does what the base could do better by ${points(-arm.forgetting)}.`;
  return `${told} That it forgets anything of what the base could do is not shown ${between}.`;
}

// A cell of a Markdown table.
const cell = (text) => String(text).replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "&lt;");
function gap(row) { return row.difference === null ? "" : `${signed(row.difference)} (${signed(row.low)} to ${signed(row.high)})`; }
function asMarkdown(title, decision, price, settingsLine, command) {
  const lines = [`## ${cell(title)}: decision`, "", `**${cell(decision.sentence)}**`, "", ...(price ? [`- ${cell(price)}`] : []), ...decision.would_change.map((c) => `- What would change it: ${cell(c)}`), "",
    "| arm | right | difference, points (95 %) | USD a month | why not taken |", "|---|---|---|---|---|"];
  decision.standings.forEach((s, n) => lines.push(`| ${cell(s.label)} | ${percent(decision.arms[n].accuracy)} | ${gap(s)} | ${Number(decision.arms[n].monthly_usd.toPrecision(3))} | ${s.why} |`));
  return [...lines, "", ...decision.reasons.map((r) => `- ${cell(r)}`), "", settingsLine, ...(command ? ["", `\`${command}\``] : [])].join("\n") + "\n";
}
