// The live page: takes what the feed tells, draws as much of it as a person can look at, and lets the sandbox do things.
// Whatever comes from outside becomes text, never markup, and characters that hide or turn text around are spelled out.
"use strict";
const $ = (id) => document.getElementById(id);
const CAP = 25, SLICE = 8; // entries of one list; milliseconds of one stretch of drawing
const spell = (c) => c === "\n" ? c : `\\u{${c.codePointAt(0).toString(16)}}`;
const shown = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, spell);
const quoted = (text) => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
const span = (s) => s < 1 ? `+${Math.round(Math.max(0, s) * 1000)} ms` : `+${s.toFixed(1)} s`;
const state = { lanes: new Map(), shares: new Map(), letters: [], decisions: [], only: "", word: "", limits: {}, older: 0 };
let hello = { projects: {}, samples: {}, policy: "" };

function h(tag, attributes, ...kids) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : shown(value));
  }
  made.append(...kids.filter((kid) => kid !== null).map((kid) => kid instanceof Node ? kid : document.createTextNode(shown(kid))));
  return made;
}
const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const soft = (...kids) => h("span", { class: "soft" }, ...kids);
const named = (id) => h("bdi", { title: id }, hello.projects[id] ?? id);
const badge = (kind, text = kind) => h("span", { class: `badge ${kind}` }, text);

// --- drawing: one list at a time, only what changed, in short stretches

function fill(id, items, keyOf, build, older = 0) {
  const parent = $(id), limit = state.limits[id] ?? CAP, wanted = items.slice(0, limit), end = performance.now() + SLICE;
  const had = parent.contains(document.activeElement), old = new Map([...parent.children].map((each) => [each.dataset.key, each]));
  let place = parent.firstElementChild, isDone = true;
  for (const item of wanted) {
    const key = keyOf(item), sign = JSON.stringify(item);
    let each = old.get(key);
    if (each?.sign !== sign) {
      isDone = performance.now() < end;
      if (!isDone) break;
      const fresh = build(item, each);
      if (each && fresh !== each) each.replaceWith(fresh);
      if (place === each) place = fresh;
      each = Object.assign(fresh, { sign });
      each.dataset.key = key;
    }
    old.delete(key);
    if (each === place) place = place.nextElementSibling; else parent.insertBefore(each, place);
  }
  if (!isDone) return false;
  for (const each of old.values()) each.remove();
  const rest = items.length - wanted.length + older, more = $(`${id}-more`), next = Math.min(rest - older, CAP * 5);
  const show = next > 0 ? h("button", { click: () => { state.limits[id] = limit + CAP * 5; redraw(); } }, `Show ${next} more`) : "";
  if (more.sign !== (more.sign = `${rest} ${items.length}`)) more.replaceChildren(items.length === 0 ? "None." : rest ? `${rest} more are hidden. ` : "", show);
  if (had && !parent.contains(document.activeElement)) parent.closest("section").querySelector("h2").focus();
  return true;
}

const matches = (...texts) => !state.word || texts.some((text) => String(text ?? "").toLowerCase().includes(state.word));
const isWanted = (s) => (!state.only || s.state === state.only) && matches(s.name, s.image, s.owner, hello.projects[s.owner]);
const newest = (found, test) => [...found.values()].filter(test).sort((a, b) => b.at - a.at);
const lists = [
  () => fill("lanes", newest(state.lanes, (lane) => matches(lane.name, lane.id)), (lane) => lane.id, drawLane),
  () => fill("letters", [...state.letters].reverse(), (letter) => String(letter.number), drawLetter, state.older),
  () => fill("shares", newest(state.shares, isWanted), (share) => `${share.project}/${share.image}`, drawShare),
  () => fill("decisions", state.decisions, (decision) => decision.image_id, drawDecision),
  drawTotals,
];
let isDrawing = false, isStale = false, latestDraw = 0;
function redraw() {
  isStale = isDrawing;
  if (isDrawing) return;
  [isDrawing, latestDraw] = [true, performance.now()];
  const step = (left) => requestAnimationFrame(() => {
    const rest = left[0]() ? left.slice(1) : left;
    if (rest.length) return step(rest);
    isDrawing = false;
    if (isStale) setTimeout(redraw, 250);
  });
  step(lists);
}

function drawTotals() {
  const counts = { "": state.shares.size }, totals = $("totals"), focused = document.activeElement?.dataset.only;
  for (const share of state.shares.values()) counts[share.state] = (counts[share.state] ?? 0) + 1;
  if (totals.sign === (totals.sign = JSON.stringify([counts, state.only]))) return true;
  const states = ["", "waiting", "held", "accepted", "rejected", "failed", "audited"].filter((each) => each in counts || each === state.only);
  totals.replaceChildren(...states.map((each) => h("button", { class: each, "data-only": each, "aria-pressed": String(state.only === each),
    click: () => { state.only = each; redraw(); } }, h("b", {}, counts[each] ?? 0), each || "shares")));
  if (focused !== undefined) totals.querySelector(`[data-only="${focused}"]`)?.focus();
  return true;
}

function drawLane(lane, old) {
  const start = lane.steps[0]?.[0] ?? lane.at, title = lane.name ?? (lane.type === "dev.doorman.doctor.v1" ? "doorman doctor tried the sink" : lane.type.startsWith("dev.doorman.") ? lane.id : "tick of the sweep");
  const steps = lane.steps.map(([at, kind, what, more]) => h("span", { class: `step ${kind}`, role: "listitem" }, h("b", {}, what), ` ${more} `, h("small", {}, span(at - start))));
  const parts = [
    h("span", { class: "when" }, new Date(lane.at * 1000).toLocaleTimeString("en-GB")), h("bdi", { class: "title" }, title), lane.images > 1 ? soft(`and ${lane.images - 1} more`) : "",
    ...Object.entries(lane.outcomes).map(([outcome, number]) => badge(outcome, number > 1 ? `${number} ${outcome}` : outcome)), lane.dead ? badge("failed", "dead letter") : "",
    h("span", { class: "soft calls" }, `${count(lane.events, "event")}, ${count(lane.calls, "call")}`),
    h("span", { class: "steps", role: "list" }, ...steps, lane.hidden ? soft(`and ${lane.hidden} steps more`) : null),
  ];
  const body = old?.querySelector(".body") ?? h("div", { class: "body" });
  const entry = old ?? h("li", {}, h("details", { toggle: () => entry.firstChild.open && openLane(lane.id, body) }, h("summary", {}), body));
  entry.querySelector("summary").replaceChildren(...parts);
  if (old?.firstChild.open) openLane(lane.id, body);
  return entry;
}
async function openLane(id, body) {
  const told = await (await fetch(`/sandbox/lane?id=${encodeURIComponent(id)}`)).json(), start = told.events[0]?.at ?? 0;
  const open = new Set([...body.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  const events = told.events.map(({ at, tries, event }, n) => h("details", { "data-key": `${n}`, open: open.has(`${n}`) },
    h("summary", {}, h("b", {}, event.type), ` ${span(at - start)} `, soft(tries.map((each) => each.join(" ")).join(", "))), h("pre", { tabindex: 0 }, JSON.stringify(event, null, 2))));
  const calls = told.calls.map((each) => h("tr", {}, h("td", {}, span(each.at - start)),
    h("td", { class: each.fault ? "kind failed" : "" }, each.fault ? `fault: ${each.fault}` : each.status || "under way"),
    h("td", { class: "id" }, `${each.method} ${each.path}${each.query && "?"}${each.query}`, each.body ? h("pre", {}, JSON.stringify(each.body)) : null), h("td", {}, span(each.seconds).slice(1))));
  body.replaceChildren(h("p", { class: "soft" }, `correlation ${id}`), ...events, h("h3", {}, "Calls to the cloud"), h("div", { class: "scroll" }, h("table", {}, h("tbody", {}, ...calls))));
}

function drawLetter(letter) {
  const line = `doorman replay ${new URL(hello.sink).origin}/dead-letters --only ${quoted(letter.id)} --send --to ${hello.sink}`;
  const resend = () => act(line, "POST", "/sandbox/resend", { number: letter.number });
  return h("li", {}, h("b", { class: "kind failed" }, `${letter.trigger}: ${letter.reason}`), " ", h("bdi", {}, letter.id), " ", soft(letter.type),
    h("p", { class: "words" }, letter.said), h("p", { class: "soft" }, letter.why), h("button", { "aria-label": `Resend ${letter.id}`, click: resend }, "Resend"));
}

function drawShare(share) {
  const button = (word, click) => h("button", { "aria-label": `${word} ${share.name}`, click }, word), ids = { image_id: share.image, project_id: share.project };
  const isOpen = share.status === "pending" && share.project === hello.receiver;
  return h("tr", {}, h("td", {}, badge(share.state), h("div", { class: "soft" }, share.reason)), h("td", {}, h("bdi", {}, share.name), h("div", { class: "id" }, share.image)),
    h("td", {}, named(share.owner)), h("td", {}, named(share.project)), h("td", {}, `${share.os}, ${share.size} GB${share.full_ecs ? ", full-ECS" : ""}`),
    h("td", { class: "do" }, ...(isOpen ? ["approve", "reject"] : []).map((word) => button(word, () => ask(word, share))),
      button("un-share", () => act(curl("DELETE", "/sandbox/shares", ids), "DELETE", "/sandbox/shares", ids))));
}

function drawDecision({ image_id: image, name, before, after, changed }) {
  const rest = (side) => `${side.audit ? "audit, " : ""}${side.reason}${side.rule ? `, rule ${side.rule}` : ""}`, steps = h("div", { class: "body" });
  const kind = { accept: "accepted", reject: "rejected", hold: "held" }[after.decision];
  const details = h("details", { toggle: () => details.open && explain(image, steps) }, h("summary", {}, changed ? h("mark", {}, "changed") : "", " ", h("bdi", {}, name ?? image), " ",
    changed ? soft(`${before.decision} (${rest(before)}) → `) : "", h("b", { class: `kind ${kind}` }, after.decision), ` (${rest(after)})`), steps);
  return h("li", { class: changed ? "changed" : "" }, details);
}
async function explain(image, body) {
  const told = await call("POST", "/sandbox/policy", { text: $("policy").value, image }), words = { true: "matches", false: "fails", null: "unknown" };
  const condition = (each) => h("li", {}, `${each.condition}: wants ${each.wanted}; sees ${each.seen}: `, h("b", {}, words[each.matches]));
  body.replaceChildren(...(told[0]?.rules ?? []).map((rule) => h("div", {}, h("b", {}, rule.rule), ` (${rule.decision}): ${rule.verdict}`, h("ul", {}, ...rule.conditions.map(condition)))));
}

// --- doing: each thing says the command that does the same
const curl = (method, path, body) => `curl -X ${method} ${location.origin}${path}${body ? ` -d ${quoted(JSON.stringify(body))}` : ""}`;
const posting = (text) => `curl -i ${hello.sink} -H 'Content-Type: application/cloudevents+json' --data-binary ${quoted(text)}`;
async function call(method, path, body) {
  try {
    const answer = await fetch(path, { method, body: typeof body === "string" ? body : JSON.stringify(body) });
    return { isRight: answer.ok, ...await answer.json() };
  } catch (error) { return { isRight: false, error: String(error) }; }
}
async function act(line, method, path, body) {
  const say = (kind, word, more) => $("said").replaceChildren(h("b", { class: `kind ${kind}` }, word), " ", h("span", { class: "words" }, more), h("code", { class: "line" }, line));
  say("soft", "…", "");
  const told = await call(method, path, body), isRight = told.isRight && Math.floor((told.status ?? 200) / 100) === 2;
  say(isRight ? "accepted" : "failed", isRight ? "Done." : "Refused:", `${told.status || ""} ${told.text ?? told.error ?? ""}`);
  return isRight;
}
const known = { specversion: "1.0", datacontenttype: "application/json" };
const event = (type, source, id, data) => JSON.stringify({ ...known, id, source, type, time: new Date().toISOString(), data });
const notice = () => event("dev.doorman.share.notified.v1", "/sandbox/page", `share-${fresh}`, { project_id: hello.receiver, images: [fresh] });
const tick = () => event("dev.knative.sources.ping", "/apis/v1/namespaces/doorman/pingsources/page", `tick-${fresh}`, {});
const send = (text) => act(posting(text), "POST", "/sandbox/send", text);
let fresh = crypto.randomUUID();
function wire(id, write, run) {
  const form = $(id);
  form.show = () => { form.querySelector(".line").textContent = shown(write(form.elements)); };
  form.addEventListener("input", form.show);
  form.addEventListener("submit", async (pressed) => { pressed.preventDefault(); await run(form.elements); fresh = crypto.randomUUID(); form.show(); });
}
const described = (f) => ({ owner: f.owner.value, image_id: fresh, name: f.name.value, full_ecs: f.full_ecs.checked, min_disk: Number(f.size.value),
  size_gb: Number(f.size.value), properties: { __os_type: f.os.value }, share_with: [hello.receiver] });
wire("share", (f) => [curl("POST", "/sandbox/images", described(f)), ...f.notify.checked ? [posting(notice())] : []].join("\n"), async (f) => {
  const isMade = await act(curl("POST", "/sandbox/images", described(f)), "POST", "/sandbox/images", described(f));
  if (isMade && f.notify.checked) await send(notice());
  f.name.value = f.name.value.replace(/\d+$/, (digits) => String(Number(digits) + 1));
});
wire("tick", () => posting(tick()), () => send(tick()));
const sampleFile = (f) => f.text.value === hello.samples[f.sample.value] ? quoted(`${hello.events}/${f.sample.value}`) : "event.json";
wire("send", (f) => `doorman send ${sampleFile(f)} --to ${hello.sink}`, (f) => send(f.text.value));
$("send").elements.sample.onchange = ({ target }) => { $("send").elements.text.value = hello.samples[target.value]; $("send").show(); };

const FAULTS = { status: ["answers 503", { status: 503 }], flow_control: ["too many tasks (IMG.0060)", {}], reset: ["connection breaks", {}],
  half: ["answer stops in the middle", {}], html: ["a proxy's page, 502", { status: 502 }], garbage: ["200 with no JSON", {}], hang: ["silence of 3 s", { seconds: 3 }] };
const faultOf = (kind) => ({ kind, ...FAULTS[kind][1], ...JSON.parse($("rate").value) });
const turn = (kind) => ({ target }) => {
  const [method, path, body] = target.checked ? ["POST", "/sandbox/faults", faultOf(kind)] : ["DELETE", `/sandbox/faults?kind=${kind}`];
  return act(curl(method, path, body), method, path, body);
};
$("switches").append(...Object.entries(FAULTS).map(([kind, [words]]) => h("label", { class: "tick" }, h("input", { type: "checkbox", role: "switch", name: kind, change: turn(kind) }), ` ${kind}: ${words}`)));
$("rate").onchange = () => { $("faults").querySelector(".line").textContent = curl("POST", "/sandbox/faults", faultOf("reset")); };

function ask(word, share) {
  const dialog = $("dialog"), form = dialog.querySelector("form"), reason = form.elements.reason, asked = { action: word, image: share.image, project: share.project };
  const line = () => `doorman ${word} ${share.image} --project ${share.project} --reason ${quoted(reason.value)}`;
  reason.oninput = () => { form.querySelector(".line").textContent = shown(line()); };
  form.onsubmit = (pressed) => { pressed.preventDefault(); dialog.close(); act(line(), "POST", "/sandbox/settle", { ...asked, reason: reason.value }); };
  $("dialog-title").textContent = shown(`${word} ${share.name}`);
  reason.oninput();
  dialog.showModal();
}

// --- what if

const policy = $("policy"), gutter = $("gutter");
let latest = 0, waiting = 0;
async function examine() {
  const mine = ++latest, text = policy.value, lines = text.split("\n"), told = await call("POST", "/sandbox/policy", { text });
  if (mine !== latest) return;
  const { faults = [], warnings = [], decisions = [] } = told, changed = decisions.filter((each) => each.changed), wrong = new Set(faults.map((each) => each.line));
  const place = (kind) => (each) => h("li", { class: kind }, h("button", { click: () => go(each) }, `line ${each.line}, column ${each.column}`), ` ${each.message}`,
    h("pre", {}, `${lines[each.line - 1] ?? ""}\n${" ".repeat(each.column - 1)}^`));
  gutter.replaceChildren(...lines.map((_, n) => h("span", { class: wrong.has(n + 1) ? "wrong" : "" }, `${n + 1}\n`)));
  policy.setAttribute("aria-invalid", String(faults.length > 0));
  $("apply").disabled = !told.isRight || faults.length > 0 || text === hello.policy;
  $("verdict").textContent = shown(told.error ?? (faults.length ? `Faults: ${faults.length}` : `No faults. ${changed.length} of ${decisions.length} shares would end differently.`));
  $("places").replaceChildren(...[...faults.map(place("failed")), ...warnings.map(place("held"))].slice(0, CAP));
  $("decisions-more").hidden = faults.length > 0;
  state.decisions = [...changed, ...decisions.filter((each) => !each.changed)];
  redraw();
}
function go({ line, column }) {
  policy.focus();
  const at = policy.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1) + column - 1;
  policy.setSelectionRange(at, at + 1);
}
policy.oninput = () => { clearTimeout(waiting); waiting = setTimeout(examine, 250); };
policy.onscroll = () => { gutter.scrollTop = policy.scrollTop; };
$("apply").onclick = async () => {
  const text = policy.value;
  if (await act(curl("PUT", "/sandbox/policy --data-binary @policy.yaml"), "PUT", "/sandbox/policy", text)) hello.policy = text;
  examine();
};
$("undo").onclick = () => { policy.value = hello.policy; examine(); };
$("find").oninput = ({ target }) => { state.word = target.value.trim().toLowerCase(); redraw(); };
$("cancel").onclick = () => $("dialog").close();

// --- the feed

function greet(told) {
  const { owner } = $("share").elements, { sample, text } = $("send").elements, isFirst = !text.value;
  hello = told;
  for (const each of [state.lanes, state.shares]) each.clear();
  owner.replaceChildren(...Object.entries(told.projects).filter(([id]) => id !== told.receiver).map(([id, name]) => h("option", { value: id }, name)));
  sample.replaceChildren(...Object.keys(told.samples).map((name) => h("option", { selected: name === "golden-image.json" }, name)));
  if (isFirst) [text.value, policy.value] = [told.samples[sample.value], told.policy];
  for (const id of ["share", "tick", "send"]) $(id).show();
  $("rate").onchange();
  $("policy-line").textContent = `doorman policy check policy.yaml && doorman policy diff ${quoted(told.file)} policy.yaml --live`;
  examine();
}
const source = new EventSource("/sandbox/feed"), link = (text, name) => Object.assign($("link"), { textContent: text, className: name });
source.onopen = () => link("live", "on");
source.onerror = () => link("the sandbox has ended, or cannot be reached", "off");
source.onmessage = ({ data }) => {
  const told = JSON.parse(data);
  if (told.projects) return greet(told);
  for (const lane of told.lanes ?? []) state.lanes.set(lane.id, lane);
  for (const [key, share] of told.shares ?? []) { share ? state.shares.set(key, share) : state.shares.delete(key); policy.oninput(); }
  if (told.letters) {
    [state.letters, state.older] = [told.letters, told.number - told.letters.length];
    for (const kind of Object.keys(FAULTS)) $("switches").querySelector(`[name=${kind}]`).checked = told.faults.some((each) => each.kind === kind && each.times !== 0);
  }
  if (!told.more || performance.now() > latestDraw + 1000) redraw(); // a page that comes late takes everything in first
};
