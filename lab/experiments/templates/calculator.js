// The calculator of the page: 6 N D, 4 N D + 6 P D, 16 N and 2 N + 16 P bytes (lab.experiments.why.own_case says the same).
"use strict";
const byId = (id) => document.getElementById(id);
const value = (id) => Math.max(0, Number(byId(id).value));
function show() {
  const n = value("n") * 1e9, before = value("before") * 1e12, examples = value("examples");
  const each = value("each"), epochs = value("epochs"), share = value("share") / 100;
  const tokens = examples * each * epochs, full = 6 * n * tokens, lora = 4 * n * tokens + 6 * n * share * tokens, pre = 6 * n * before;
  const words = (x) => x.toExponential(1);
  byId("answer").textContent = `Pretraining ${words(pre)} FLOPs, full fine-tuning ${words(full)}, LoRA ${words(lora)}: ${Math.round(pre / lora).toLocaleString("en-US")} times less for LoRA; `
    + `of that ${Math.round(before / tokens).toLocaleString("en-US")} times by fewer tokens and ${(full / lora).toFixed(2)} times by fewer weight gradients. `
    + `Memory for weights, gradients and Adam: ${(16 * n / 2 ** 30).toFixed(0)} GiB in full, ${((2 * n + 16 * n * share) / 2 ** 30).toFixed(0)} GiB with LoRA.`;
}
document.querySelectorAll("input").forEach((input) => input.addEventListener("input", show));
show();
