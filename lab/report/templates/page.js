// Fills the page from its data: every number was computed by Python, the controls choose among them and do the money.
"use strict";
const study = JSON.parse(document.getElementById("study-data").textContent);
const byId = (id) => document.getElementById(id);
const views = {}, data = {};
useRule(study.rule);

function make(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}
function fill(parent, children) { parent.replaceChildren(...children); }
function row(values, chosen) {
  const tr = make("tr", undefined, chosen ? "chosen" : "");
  values.forEach((v) => tr.append(make("td", v)));
  return tr;
}

function settingsNow() {
  const number = (id) => Number(byId(id).value);
  const limit = byId("latency").value, forgetting = byId("forgetting").value, money = (id) => Math.max(0, number(id));
  return {
    margin: study.margins[number("margin")], monthly_requests: study.volumes[number("requests")], price_per_hour_usd: Math.max(0, number("price")), months: Math.max(1, Math.round(number("months"))),
    hosting: byId("hosting").value, usd_per_million_prompt_tokens: money("prompt-price"), usd_per_million_cached_tokens: money("cached-price"), usd_per_million_completion_tokens: money("completion-price"),
    updates_a_month: money("updates"), people_usd_per_hour: money("people"), minutes_a_label: study.settings.minutes_a_label, document_hours: study.settings.document_hours,
    evaluation_hours: study.settings.evaluation_hours, by_arm: study.settings.by_arm, forgetting_limit: forgetting !== "" && Number(forgetting) >= 0 ? Number(forgetting) / 100 : null,
    latency_limit_seconds: limit && Number(limit) > 0 ? Number(limit) : null,
  };
}
function place() {
  return { size: study.sizes.length ? study.sizes[Number(byId("size").value)] : null, rank: study.ranks.length > 1 ? study.ranks[Number(byId("rank").value)] : null };
}
function settingsInWords(settings, where) {
  const prices = settings.hosting === "api" ? "an API's token prices" : `${settings.price_per_hour_usd} USD a machine hour (${settings.hosting})`;
  const limits = [settings.latency_limit_seconds === null ? "" : `at most ${settings.latency_limit_seconds} s a request`, settings.forgetting_limit === null ? "" : `at most ${points(settings.forgetting_limit)} forgotten`].filter(Boolean);
  return `At ${where.size === null ? "no" : whole(where.size)} labelled examples, ${where.rank === null ? "ranks chosen on validation" : "rank " + where.rank}, ${whole(settings.monthly_requests)} requests a month, a margin of ${points(settings.margin)}, ${prices}, `
    + `${settings.months} months in use${limits.length ? ", " + limits.join(", ") : ""}.`;
}
function sceneAt({ size, rank }) { return study.scenes.find((s) => s.size === size && s.rank === rank); }
function money(usd) { return usd >= 100 ? whole(usd) : String(Number(usd.toPrecision(3))); }

function update() {
  const settings = settingsNow(), where = place(), shown = sceneAt(where);
  const decision = verdict(shown, settings);
  window.labDecision = { settings, where, decision };
  if (byId("size-value")) byId("size-value").textContent = whole(where.size) + " examples";
  if (byId("rank-value")) byId("rank-value").textContent = where.rank === null ? "chosen on validation" : "rank " + where.rank;
  byId("requests-value").textContent = whole(settings.monthly_requests) + " a month";
  byId("margin-value").textContent = points(settings.margin);
  byId("sentence").textContent = decision.sentence;
  byId("bar").className = "bar " + toneOf(decision);
  byId("settings-line").textContent = settingsInWords(settings, where);
  byId("price-line").textContent = priceOf(decision, settings);
  byId("standings").parentElement.classList.toggle("alike", decision.standings.every((s) => s.content === null));
  fill(byId("reasons"), decision.reasons.map((text) => make("li", text)));
  fill(byId("changes"), decision.would_change.map((text) => make("p", "What would change it: " + text)));
  fill(byId("standings"), decision.standings.map((s, n) => {
    const arm = decision.arms[n], tr = row([s.label, percent(arm.accuracy), gap(s), money(arm.monthly_usd), s.content === null ? "" : percent(s.content)], s.label === decision.chosen);
    tr.children[1].after(make("td", s.why, "left"));
    return tr;
  }));
  fill(byId("notes"), shown.notes.map((text) => make("li", text)));
  fill(byId("arms"), decision.arms.map((a) => row([
    a.label, percent(a.accuracy), `${percent(a.low)} to ${percent(a.high)}${a.dropped ? ", left the race" : a.one_seed ? ", one seed" : ""}`, ...study.parts.map((p) => (p in a.parts ? percent(a.parts[p]) : "")),
    ...(study.recalls ? [Object.entries(a.recall).map(([k, v]) => `@${k} ${percent(v)}`).join(" ")] : []),
    a.prompt_tokens.toFixed(0), a.seconds_per_request.toFixed(4), a.fixed_seconds.toFixed(0), money(a.monthly_usd)], a.label === decision.chosen)));
  fill(byId("pairs"), shown.pairs.map((p) => {
    const tr = row([`${p.first} minus ${p.second}`, signed(p.difference), `${signed(p.low)} to ${signed(p.high)}`, p.p_holm < 0.001 ? "below 0.001" : p.p_holm.toPrecision(2)]);
    tr.append(make("td", p.words, "text"));
    return tr;
  }));
  const requests = settings.monthly_requests, arms = decision.arms;
  fill(byId("costs"), arms.map((a) => row([a.label, money(a.making_usd), money(a.updates_usd), money(1000 * requestUsd(a, pricesOf(a, settings))), money(a.monthly_usd),
    requests && a.accuracy ? money(a.monthly_usd / (requests * a.accuracy)) : "", money(a.people_usd)], a.label === decision.chosen)));
  fill(byId("even"), arms.flatMap((a, n) => arms.slice(n + 1).map((b) => {
    const e = breakEven(a, b, settings), volume = (v) => (v === Infinity ? "no end" : whole(v));
    const tr = row([`${a.label} and ${b.label}`, e.volume === null ? "never" : volume(e.volume), e.volume === null ? "" : `${volume(e.low)} to ${volume(e.high)}`]);
    tr.append(make("td", !e.cheaper_above ? "equal" : e.cheaper_above + (e.volume === null ? " at every volume" : " above it"), "text"));
    return tr;
  })));
  data.arms = armRows(decision, study.looks);
  data.lines = lineRows(decision.arms, study.looks, settings, study.line_volumes);
  data.sizes = study.size_rows.find((s) => s.rank === where.rank)?.rows ?? [];
  for (const [name, view] of Object.entries(views)) {
    const set = study.charts[name].data;
    view.data(set, rowsOf(name, set)).runAsync();
  }
}
function rowsOf(chart, set) {
  if (!data[set]?.length) throw new Error(`chart ${chart}: its data set ${set} is empty`);
  // Vega writes into the rows it is given.
  return data[set].map((r) => ({ ...r }));
}

async function draw() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches;
  const ink = dark ? "#ececec" : "#1c1c1c", line = dark ? "#3a3d42" : "#d9d9d9";
  const text = { labelColor: ink, titleColor: ink };
  const config = { background: "transparent", axis: { ...text, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontWeight: "normal" }, legend: { ...text, labelFontSize: 12 }, text: { fill: ink }, view: { stroke: line }, style: { cell: { stroke: line } } };
  for (const [name, chart] of Object.entries(study.charts)) {
    const rows = rowsOf(name, chart.data), spec = structuredClone(chart.spec);
    // Panels side by side come as a Vega drawing, whose data sets are a list.
    if (Array.isArray(spec.data)) spec.data.find((d) => d.name === chart.data).values = rows;
    else spec.datasets = { [chart.data]: rows };
    views[name] = (await vegaEmbed(byId("chart-" + name), spec, { ast: true, actions: false, renderer: "svg", config })).view;
    // What there is to see is said by the chart's place, and the numbers stand in a table.
    byId("chart-" + name).querySelector("svg").setAttribute("aria-hidden", "true");
  }
}

function listItems() {
  const items = study.items;
  if (!items) return;
  const first = byId("first-arm").value, second = byId("second-arm").value;
  const pair = items.pairs[first + "\n" + second] ?? items.pairs[second + "\n" + first];
  if (!pair) {
    byId("items-count").textContent = "Choose two different arms.";
    fill(byId("items"), []);
    return;
  }
  byId("items-count").textContent = `${pair.count} of ${items.validation} validation items are right with one arm only${pair.count > pair.ids.length ? `; the first ${pair.ids.length} are shown` : ""}.`;
  const right = (arm, id) => items.completions[arm][id][1] === "correct";
  const kinds = [[`Only ${first} is right`, pair.ids.filter((id) => right(first, id))], [`Only ${second} is right`, pair.ids.filter((id) => right(second, id))], ["Neither is right", pair.neither_ids ?? []]];
  fill(byId("items"), kinds.map(([heading, ids]) => {
    const column = make("section");
    column.append(make("h3", `${heading} (${heading.startsWith("Neither") ? pair.neither ?? 0 : ids.length})`), ...(ids.length ? ids.map((id) => example(items, id, [first, second])) : [make("p", "none", "soft")]));
    return column;
  }));
}
function example(items, id, arms) {
  const box = make("section", undefined, "item"), task = items.texts[id];
  box.append(make("p", task.input, "input"), make("p", "wanted: " + task.target, "soft"));
  for (const arm of arms) {
    const [text, outcome] = items.completions[arm][id], right = outcome === "correct", line = make("p", `${right ? "✓" : "✗"} ${arm} (${outcome}): `, right ? "right" : "wrong");
    for (const [piece, other] of right ? [[text, false]] : differences(text, task.target)) line.append(make(other ? "mark" : "span", piece));
    box.append(line);
  }
  return box;
}

// A section of the appendix opens by its heading; its charts keep their width while it is closed.
function setOpen(section, open) {
  section.classList.toggle("open", open);
  section.querySelector("button").setAttribute("aria-expanded", String(open));
}
function openAsked() {
  const asked = document.querySelector(".more" + (location.hash.length > 1 ? "#" + CSS.escape(location.hash.slice(1)) : ":not(*)"));
  if (asked) { setOpen(asked, true); asked.scrollIntoView(); }
}
document.querySelectorAll(".more").forEach((section) => {
  setOpen(section, false);
  section.querySelector("button").addEventListener("click", () => setOpen(section, !section.classList.contains("open")));
});
addEventListener("hashchange", openAsked);

async function copyDecision() {
  const { settings, where, decision } = window.labDecision, button = byId("copy");
  const text = asMarkdown(study.title, decision, priceOf(decision, settings), settingsInWords(settings, where), study.command);
  try { await navigator.clipboard.writeText(text); } catch {
    // Without a clipboard (an insecure address) a selection is copied.
    const area = make("textarea", text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy as Markdown"; }, 2000);
}
byId("copy").addEventListener("click", copyDecision);

document.querySelectorAll(".controls input, .controls select").forEach((input) => input.addEventListener("input", update));
if (study.items) ["first-arm", "second-arm"].forEach((id) => byId(id).addEventListener("change", listItems));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.documentElement.classList.add("live");
update();
listItems();
draw().then(openAsked);
