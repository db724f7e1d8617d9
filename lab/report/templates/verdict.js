// The rules of lab/decision.py in the browser: verdict(shown, settings) gives the same sentences. Tested against it.
"use strict";

// Constants of the rule (lab.decision.RULE), which the page hands over as data.
let rule = {};
function useRule(constants) { rule = constants; }

// Python rounds an exact half to the even digit, JavaScript away from zero: they part at a quarter.
function tenth(number) { return (Math.abs(number % 1) === 0.25 ? number - Math.sign(number) * 0.01 : number).toFixed(1); }
function percent(share) { return tenth(100 * share) + " %"; }
function points(share) { return tenth(100 * share) + " points"; }
function signed(share) { const text = tenth(100 * share); return share >= 0 && text[0] !== "-" ? "+" + text : text; }
function whole(number) { return Math.round(number).toLocaleString("en-US"); }
function usd(amount) {
  const even = amount % 0.5 === 0.125 ? amount - 0.001 : amount;
  return amount >= 0.01 ? even.toFixed(2).replace(/\B(?=(\d{3})+\.)/g, ",") + " USD" : "less than 0.01 USD";
}
function bareNumber(number) { return String(Number(number.toPrecision(6))); }

function minutes(seconds) {
  return seconds < 90 ? `${seconds.toFixed(0)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

class Bounds {
  constructor(shown, settings, eligible) {
    this.shown = shown; this.margin = settings.margin; this.level = Math.max(1, eligible - 1);
    this.pairs = new Map(shown.pairs.map((p) => [p.first + "\n" + p.second, p]));
  }
  pair(first, second) {
    const found = this.pairs.get(first.label + "\n" + second.label);
    return found ? [found, 1] : [this.pairs.get(second.label + "\n" + first.label), -1];
  }
  // How much the first may lose against the second, by its one-sided bound.
  lost(first, second) {
    const [p, sign] = this.pair(first, second);
    return p.half_widths[this.level - 1] - sign * p.difference;
  }
  noWorse(first, second) { return this.lost(first, second) < this.margin; }
  // The margin above which an arm is shown to be no worse than every other one of these.
  marginNeeded(arm, others) {
    const lost = others.filter((b) => b !== arm).map((b) => this.lost(arm, b));
    return lost.length ? Math.max(...lost) : 0;
  }
  // Chance that after a plan some arm is shown to be no worse than every other.
  settles(eligible, plan) {
    const steps = this.shown.moves[plan], rooms = eligible.map((a) => eligible.map((b) => {
      if (a === b) return null;
      const [p, sign] = this.pair(a, b);
      return sign * p.difference + this.margin - p.foreseen[plan][this.level - 1];
    }));
    const settled = rule.draws.filter((draw) => {
      const moved = eligible.map((a, n) => draw[n % draw.length] * steps[a.label]);
      return rooms.some((row, a) => row.every((room, b) => room === null || room + moved[a] - moved[b] > 0));
    });
    return settled.length / rule.draws.length;
  }
  // First minus second with its 95 % interval.
  against(first, second) {
    const [p, sign] = this.pair(first, second);
    return { difference: sign * p.difference, low: sign > 0 ? p.low : -p.high, high: sign > 0 ? p.high : -p.low };
  }
  isOneSeed(first, second) { return this.pair(first, second)[0].one_seed; }
}

// The arithmetic of lab/measure/cost.py.
// Prices that hold for an arm: its own where there are any, by label, name or model; else the general ones.
function pricesOf(arm, settings) {
  const own = [arm.label, arm.name, arm.model].find((key) => settings.by_arm && key in settings.by_arm);
  return own === undefined ? settings : { ...settings, ...settings.by_arm[own] };
}
function requestUsd(arm, settings) {
  if (settings.hosting === "api")
    return ((arm.prompt_tokens - arm.cached_tokens) * settings.usd_per_million_prompt_tokens + arm.cached_tokens * settings.usd_per_million_cached_tokens
      + arm.completion_tokens * settings.usd_per_million_completion_tokens) / 1e6;
  return arm.seconds_per_request * settings.price_per_hour_usd / 3600;
}
function monthlyUsd(arm, settings, requests) {
  const hour = settings.price_per_hour_usd / 3600;
  let serving = requests * requestUsd(arm, settings);
  if (settings.hosting === "dedicated")
    serving = Math.max(1, Math.ceil(requests * arm.seconds_per_request / (rule.hours_a_month * 3600))) * rule.hours_a_month * settings.price_per_hour_usd;
  const hours = arm.labels * settings.minutes_a_label / 60 + (arm.reads_documents ? settings.document_hours : 0) + settings.evaluation_hours;
  const making = arm.fixed_seconds * hour / settings.months, updates = settings.updates_a_month * arm.update_seconds * hour;
  return { making, updates, requests: serving, people: hours * settings.people_usd_per_hour / settings.months, total: making + updates + serving };
}
function fieller(numerator, numeratorVariance, denominator, denominatorVariance) {
  const z = rule.z;
  const a = denominator ** 2 - z ** 2 * denominatorVariance, b = -2 * numerator * denominator, c = numerator ** 2 - z ** 2 * numeratorVariance;
  if (a === 0 && b === 0) return [-Infinity, Infinity];
  if (a === 0) return b < 0 ? [-c / b, Infinity] : [-Infinity, -c / b];
  const root = b * b - 4 * a * c;
  if (root < 0) return [-Infinity, Infinity];
  const ends = [(-b - Math.sqrt(root)) / (2 * a), (-b + Math.sqrt(root)) / (2 * a)].sort((x, y) => x - y);
  if (a > 0) return ends;
  return ends[1] > 0 ? [ends[1], Infinity] : [-Infinity, Infinity];
}
// An arm's cost line: dollars at rest and for each request, with the variances of both. Dedicated machines are a staircase; the line is that of shared seconds.
function lineOf(arm, settings) {
  const own = pricesOf(arm, settings), flat = own.hosting === "dedicated" ? { ...own, hosting: "shared" } : own, hour = flat.price_per_hour_usd / 3600;
  return { label: arm.label, atRest: monthlyUsd(arm, flat, 0).total, each: requestUsd(arm, flat), atRestVariance: (arm.fixed_error * hour / flat.months) ** 2,
    eachVariance: flat.hosting === "api" ? 0 : (arm.seconds_error * hour) ** 2 };
}
// Whether two arms' monthly costs lie within the error of their difference.
function costsAlike(first, second, settings) {
  const requests = settings.monthly_requests, variance = (arm) => {
    const own = pricesOf(arm, settings), line = lineOf(arm, settings);
    return line.atRestVariance + (own.hosting === "dedicated" ? 0 : requests ** 2 * line.eachVariance);
  };
  return Math.abs(first.monthly_usd - second.monthly_usd) <= rule.z * Math.sqrt(variance(first) + variance(second));
}
function breakEven(first, second, settings) {
  const a = lineOf(first, settings), b = lineOf(second, settings), savedAtRest = b.atRest - a.atRest, savedEach = a.each - b.each;
  const [low, high] = fieller(savedAtRest, a.atRestVariance + b.atRestVariance, savedEach, a.eachVariance + b.eachVariance);
  const volume = savedEach ? savedAtRest / savedEach : null;
  if (volume === null || volume <= 0) {
    const cheaper = savedAtRest > 0 || (savedAtRest === 0 && savedEach < 0) ? a.label : savedAtRest < 0 || savedEach > 0 ? b.label : "";
    return { volume: null, low: Math.max(0, low), high, cheaper_above: cheaper };
  }
  return { volume, low: Math.max(0, low), high, cheaper_above: savedEach > 0 ? b.label : a.label };
}

function result(arm, settings) {
  const cost = monthlyUsd(arm, pricesOf(arm, settings), settings.monthly_requests), limit = settings.forgetting_limit;
  let excluded = arm.unfit || arm.dropped;
  if (!excluded && settings.latency_limit_seconds !== null && arm.latency_seconds > settings.latency_limit_seconds)
    excluded = `takes ${arm.latency_seconds.toFixed(2)} s for one request alone, the limit is ${bareNumber(settings.latency_limit_seconds)} s`;
  if (!excluded && limit !== null && arm.changes_weights) {
    if (arm.forgetting === null) excluded = "what it forgets was not measured, and there is a limit on it";
    else if (arm.forgetting_high > limit)
      excluded = `may forget up to ${points(arm.forgetting_high)} of what the base model could (measured ${points(arm.forgetting)}), the limit is ${points(limit)}`;
  }
  return { ...arm, monthly_usd: cost.total, making_usd: cost.making, updates_usd: cost.updates, requests_usd: cost.requests, people_usd: cost.people, excluded };
}

// Whether all arms that are paid by the second were timed on one machine.
function isComparable(arms, settings) {
  return new Set(arms.filter((a) => pricesOf(a, settings).hosting !== "api").flatMap((a) => a.machines)).size <= 1;
}

function most(arms, value) { return arms.reduce((a, b) => (value(b) > value(a) ? b : a)); }

function verdict(shown, settings) {
  const measured = shown.arms.map((a) => result(a, settings));
  const arms = [...measured].sort((a, b) => b.accuracy - a.accuracy);
  const decision = (chosen, sentence, reasons, would_change, standings = [], leader = "") =>
    ({ chosen, sentence, reasons, would_change, arms, provisional: shown.provisional, standings, leader });
  if (shown.unfinished) return decision("", `The run is not finished: ${shown.unfinished}.`, ["Run the same lab decide command again: it goes on where it stopped."], []);
  const eligible = measured.filter((a) => !a.excluded);
  const bounds = new Bounds(shown, settings, eligible.length + arms.filter((a) => a.dropped).length);
  const tokens = (a) => a.prompt_tokens + a.completion_tokens, comparable = isComparable(arms, settings);
  const ordered = [...eligible].sort((a, b) => (comparable ? a.monthly_usd - b.monthly_usd : 0) || tokens(a) - tokens(b));
  const rows = (reference, role, useful = []) => standingsOf(arms, reference, role, bounds, ordered, useful, comparable, settings);
  const ofNoUse = () => decision("", ...useless(arms), rows(...closest(arms)));
  if (!eligible.length) return decision("", "No arm lies within the limits.", leftOut(arms), ["Other limits."], rows(arms[0], ""));
  const highest = Math.max(...eligible.map((a) => a.high));
  if (highest < rule.useless) return ofNoUse();
  const closeEnough = ordered.filter((a) => eligible.every((b) => b === a || bounds.noWorse(a, b)));
  const useful = closeEnough.filter(ofUse), oneSeed = eligible.filter((a) => a.one_seed);
  const best = most(eligible, (a) => a.accuracy);
  if (closeEnough.length && !useful.length) return ofNoUse();
  if (!useful.length && !oneSeed.length) return decision("", ...undecided(eligible, arms, bounds, settings), rows(best, "ahead"));
  const alike = useful.filter((a, place) => (comparable ? costsAlike(useful[0], a, settings) : place === 0));
  const chosen = alike.length ? most(alike, (a) => a.accuracy) : best;
  let sentence = `right on ${percent(chosen.accuracy)} of the test items (${percent(chosen.low)} to ${percent(chosen.high)})`;
  if (eligible.length === 1 && arms.some((a) => a.dropped)) sentence += `; every other arm was shown to be more than ${points(settings.margin)} worse and left the race.`;
  else if (eligible.length === 1) sentence += ", the only arm within the limits.";
  else if (!useful.includes(chosen)) sentence += `; that no other is better by more than ${points(settings.margin)} is not shown.`;
  else if (chosen !== useful[0]) sentence += `; ${useful[0].label} costs the same within the error of the costs, and is right less often.`;
  else if (chosen !== ordered[0]) sentence += `; nothing cheaper is shown to come within ${points(settings.margin)} of the best.`;
  else sentence += `, the cheapest arm, and no other is better by more than ${points(settings.margin)}.`;
  sentence += answersLost(chosen, best, settings, comparable);
  if (highest < rule.poor) sentence += ` But none does the task well: the best is right on ${percent(best.accuracy)}.`;
  const reasons = factsOf(chosen, arms, settings, comparable);
  if (oneSeed.length) return decision("", `${chosen.label} leads, with one seed, which is no verdict: ${sentence}`, reasons, [confirm(oneSeed)], rows(chosen, "leads", useful), chosen.label);
  const changes = [...wouldChange(chosen, eligible, bounds, settings, comparable), otherMargin(chosen, ordered, bounds)];
  return decision(chosen.label, `Take ${chosen.label}: ${sentence}`, reasons, changes, rows(chosen, "taken", useful));
}

// lab/measure/standing.py: how each arm stands beside the one of reference, and why it is not taken.
function standingsOf(arms, reference, role, bounds, ordered, useful, comparable, settings) {
  const words = { cheaper: comparable ? "cheaper" : "fewer tokens", dearer: comparable ? "dearer" : "more tokens" };
  return arms.map((arm) => {
    const itself = arm === reference, { difference, low, high } = itself ? { difference: null, low: null, high: null } : bounds.against(arm, reference);
    return { label: arm.label, difference, low, high, usd: itself || !comparable ? null : arm.monthly_usd - reference.monthly_usd, content: failsByForm(arm) ? arm.content : null,
      why: rule.why[whyNot(arm, reference, role, bounds, ordered, useful, settings)].replace(/\{(\w+)\}/g, (_, word) => words[word]) };
  });
}
function whyNot(arm, reference, role, bounds, ordered, useful, settings) {
  if (arm.excluded) return limitOf(arm, settings);
  if (arm === reference) return role;
  const { difference, high } = bounds.against(arm, reference), clearly = high < -settings.margin, place = ordered.indexOf(arm) - ordered.indexOf(reference);
  if (failsByForm(arm) && arm.content >= (reference.content ?? reference.accuracy) - settings.margin) return "form";
  if (role === "best" || role === "form") return "seldom";
  if (role === "ahead") return !bounds.noWorse(reference, arm) ? "open" : clearly ? "worse" : "no_better";
  if (bounds.isOneSeed(arm, reference) && difference < 0) return "behind";
  if (place < 0 && useful.includes(arm) && useful.includes(reference)) return "alike";
  if (place < 0) return clearly ? "cheap_worse" : ofUse(arm) ? "cheap_maybe" : "seldom";
  return clearly ? "dear_worse" : difference > 0 ? "dear_better" : "dear";
}
function limitOf(arm, settings) {
  if (arm.unfit || arm.dropped) return arm.unfit ? "unfit" : "dropped";
  if (settings.latency_limit_seconds !== null && arm.latency_seconds > settings.latency_limit_seconds) return "latency";
  return arm.forgetting === null ? "unknown" : "forgets";
}
// Good: an arm that does the task is taken; weak: one that does not do it well; open: none is.
function toneOf(decision) {
  const taken = decision.arms.find((a) => a.label === decision.chosen);
  return taken === undefined ? "open" : taken.accuracy >= rule.poor ? "good" : "weak";
}

// The smallest margin that would take one of these arms; empty without any.
function widerMargin(arms, eligible, bounds) {
  if (!arms.length) return [];
  const needed = (a) => bounds.marginNeeded(a, eligible), nearest = arms.reduce((a, b) => (needed(b) < needed(a) ? b : a));
  return [needed(nearest) > rule.far ? `No margin within reach takes another arm: ${nearest.label}, the nearest, may be ${points(Math.min(1, needed(nearest)))} worse.` : `A margin above ${points(needed(nearest))} would take ${nearest.label}.`];
}
function otherMargin(chosen, ordered, bounds) {
  const wider = widerMargin(ordered.slice(0, ordered.indexOf(chosen)).filter(ofUse), ordered, bounds), least = bounds.marginNeeded(chosen, ordered);
  if (wider.length) return wider[0];
  return least > 0 ? `A margin below ${points(least)} would no longer take it.` : "No margin would: every cheaper arm fails at the task, and no other one may be better.";
}
// Where no arm is of use: the one that comes closest, and whether it is the form that it lacks.
function closest(arms) {
  const within = arms.filter((a) => !a.excluded), formless = within.filter(failsByForm);
  return formless.length ? [most(formless, (a) => a.content), "form"] : [within[0], "best"];
}

// What would make a verdict of a leader.
const confirm = (oneSeed) => `Two more draws of the training sample for ${oneSeed.map((a) => a.label).join(", ")} (lab decide with --seeds 3): how much another draw moves them was not measured.`;

// What the money that is saved against the most accurate arm costs in answers; empty where nothing is lost.
function answersLost(chosen, best, settings, comparable) {
  const more = (best.accuracy - chosen.accuracy) * settings.monthly_requests;
  if (more < 1 || !comparable) return "";
  return ` ${best.label} would answer ${whole(more)} more of ${whole(settings.monthly_requests)} requests a month right, for ${usd(best.monthly_usd - chosen.monthly_usd)} more.`;
}

// lab/measure/settling.py: the plans that the study could grow to, each with its chance of settling and its price; the cheapest first.
function waysToSettle(eligible, bounds, settings) {
  const shown = bounds.shown;
  const found = shown.plans.map((plan, place) => {
    const seconds = eligible.reduce((sum, arm) => {
      const rows = arm.seeded ? plan.seeds : 1, before = arm.seeded ? shown.seeds : 1;
      return sum + (rows - before) * arm.training_seconds + (rows * plan.items - before * shown.items) * arm.seconds_per_request;
    }, 0);
    const people = Math.max(0, plan.items - shown.items_at_hand) * settings.minutes_a_label / 60 * settings.people_usd_per_hour;
    return settling(plan, bounds.settles(eligible, place), seconds * settings.price_per_hour_usd / 3600 + people, seconds, shown);
  });
  return found.sort((a, b) => a.usd - b.usd || a.seconds - b.seconds);
}
function settling(plan, chance, money, seconds, shown) {
  const told = [], moreSeeds = plan.seeds > shown.seeds, moreItems = plan.items > shown.items;
  if (moreSeeds) told.push(`${plan.seeds} draws of the training sample instead of ${shown.seeds}`);
  if (moreItems) told.push(`${whole(plan.items)} test items instead of ${whole(shown.items)}`);
  return { plan, chance, usd: money, seconds, moreSeeds, moreItems, words: told.join(" and "), likely: `with a chance of about ${5 * Math.round(20 * chance)} %`, cost: `about ${minutes(seconds)}, ${usd(money)}` };
}
// The cheapest way, and the cheapest of the other kind (seeds alone, or items alone) where there is one.
function distinct(ways) {
  const [first] = ways, alone = (w) => w.moreSeeds !== w.moreItems, same = (w) => w.moreSeeds === first.moreSeeds && w.moreItems === first.moreItems;
  return [first, ...ways.filter((w) => alone(w) && !same(w)).slice(0, 1)];
}
const capital = (text) => text[0].toUpperCase() + text.slice(1);

function undecided(eligible, arms, bounds, settings) {
  const best = most(eligible, (a) => a.accuracy);
  const close = eligible.filter((b) => b !== best && !bounds.noWorse(best, b));
  const reasons = [...eligible.filter(failsByForm).map(heldBackByForm), ...leftOut(arms)];
  const ways = waysToSettle(eligible, bounds, settings), likely = ways.filter((w) => w.chance >= rule.enough);
  let more, change;
  if (likely.length) {
    more = `${likely[0].words} would settle it ${likely[0].likely}`;
    change = distinct(likely).map((w) => `${capital(w.words)} (${w.cost}): settles it ${w.likely}.`);
  } else {
    const likeliest = most(ways, (w) => w.chance);
    more = `even ${likeliest.words} would settle it only ${likeliest.likely}`;
    change = [`${capital(more)} (${likeliest.cost}): the arms lie too close to tell apart.`];
  }
  change.push(...widerMargin(eligible.filter(ofUse), eligible, bounds));
  return [`Undecided between ${[best, ...close].map((a) => a.label).join(" and ")}: ${more}.`, reasons, change];
}

// No arm is right often enough to be of use: is it the content that lacks, or the form?
const range = (a) => `(${percent(a.low)} to ${percent(a.high)})`;
function ofUse(a) { return a.accuracy > 0 && a.high >= rule.useless; }
function failsByForm(a) { return a.content !== null && a.content >= rule.useless && a.content - a.accuracy >= rule.form; }
const heldBackByForm = (a) => `${percent(a.content)} of the completions of ${a.label} hold the right content, and ${percent(a.accuracy)} are counted as right. A cheaper cure may be to ${rule.cures}.`;
function useless(measured) {
  const arms = measured.filter((a) => !a.excluded), out = leftOut(measured);
  const share = (a) => `${a.label} is right on ${percent(a.accuracy)} ${range(a)}`, formless = arms.filter(failsByForm), best = arms[0];
  if (!formless.length)
    return [`None of the arms${out.length ? " within the limits" : ""} does this task: the best, ${best.label}, is right on ${percent(best.accuracy)} of the test items ${range(best)}.`, arms.slice(1).map((a) => share(a) + ".").concat(out),
      ["A larger base model or more labelled examples: with these no way of using the model is of use."]];
  const fullest = most(formless, (a) => a.content);
  const reasons = formless.filter((a) => a !== fullest).map((a) => `${share(a)}; ${percent(a.content)} of its completions hold the right content.`)
    .concat(arms.filter((a) => !formless.includes(a)).map((a) => share(a) + "."), out);
  return [`No arm answers in the form that counts, but the content is there: ${fullest.label} is right on ${percent(fullest.accuracy)} of the test items, and `
    + `${percent(fullest.content)} of its completions hold the right content.`, reasons, [`Cheaper than another model: ${rule.cures}; or train on the form.`]];
}
// Whether the verdict rests on form: another arm has the content as well, or more of it, and only not the form.
function formAlone(chosen, arms, margin) {
  const rivals = arms.filter((a) => a !== chosen && failsByForm(a) && chosen.content !== null && a.content >= chosen.content - margin && a.accuracy < chosen.accuracy - margin);
  if (!rivals.length) return arms.filter((a) => failsByForm(a) && a.content > (chosen.content ?? 0) + margin).map(heldBackByForm);
  const rival = most(rivals, (a) => a.content);
  return [`It wins by form, not by knowledge: ${percent(rival.content)} of the completions of ${rival.label} hold the right content, ${percent(chosen.content)} of those of ${chosen.label}. `
    + `A cheaper cure may be to ${rule.cures}.`];
}

const leftOut = (arms) => arms.filter((a) => a.excluded).map((a) => `${a.label}: ${a.excluded}.`);

// What the rows of the arms do not say: form and knowledge, limits, machines, other models.
function factsOf(chosen, arms, settings, comparable) {
  const reasons = [...formAlone(chosen, arms, settings.margin), ...leftOut(arms)];
  const elsewhere = arms.filter((a) => a.elsewhere_seconds > 0).map((a) => `${a.label} ${a.elsewhere_seconds.toFixed(0)} s`);
  if (elsewhere.length) reasons.push(`Searched on another machine, and so not in the fixed cost: ${elsewhere.join(", ")}.`);
  if (!comparable) reasons.push("Seconds come from several machines and are not compared; tokens a request stand in for cost.");
  const deployed = arms.filter((a) => a.deployed).map((a) => a.label);
  if (deployed.length) reasons.push(`Compared as deployed, not matched: ${deployed.join(", ")} run on another model; what the model and what the method does is not told apart.`);
  return reasons;
}

function wouldChange(chosen, eligible, bounds, settings, comparable) {
  if (!comparable || pricesOf(chosen, settings).hosting === "dedicated") return [];
  const changes = [];
  for (const other of eligible) {
    if (other === chosen || !ofUse(other) || pricesOf(other, settings).hosting === "dedicated" || !eligible.every((b) => b === other || bounds.noWorse(other, b))) continue;
    const found = breakEven(chosen, other, settings);
    if (found.volume !== null) changes.push(`${found.cheaper_above === other.label ? "Above" : "Below"} ${whole(found.volume)} requests a month ${other.label} becomes the cheaper one.`);
  }
  return changes;
}
