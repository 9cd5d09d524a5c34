// The forms of command_form.py in the browser. Python decides everything; here it is only drawn, with plain HTML.

let forms = 0;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Text in which `lab train` is code.
const write = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));

// What a command has said: no `error:`, but a sign and a word, and after an arrow the next thing to do.
const SIGNS = { "error: ": ["✗", "Not yet: "], "hint: ": ["→", "Next: "], "note: ": ["!", "Note: "] };

function drawLine(line) {
  const start = Object.keys(SIGNS).find((each) => line.startsWith(each));
  if (!start) return make("div", { className: "lab-line", textContent: line });
  const [sign, word] = SIGNS[start];
  const mark = make("span", { className: "lab-sign", textContent: sign });
  mark.setAttribute("aria-hidden", "true");
  return make("div", { className: "lab-line" }, mark, make("b", { textContent: word }), line.slice(start.length));
}

// What is filled in and not sent yet outlives a kernel that ends: the browser keeps it.
const drafts = {
  read: (name) => { try { return JSON.parse(localStorage.getItem(name)) ?? {}; } catch { return {}; } },
  write: (name, values) => { try { localStorage.setItem(name, JSON.stringify(values)); } catch { /* a full disk */ } },
  forget: (name) => { try { localStorage.removeItem(name); } catch { /* no storage at all */ } },
};

function render({ model, el }) {
  const id = `lab-form-${++forms}`;
  const set = (name, value) => {
    model.set("values", { ...model.get("values"), [name]: value });
    model.save_changes();
    drafts.write(model.get("keep"), model.get("values"));
  };

  const several = model.get("fields").length > 1;

  function describe(field, number) {
    const note = make("span", { className: "lab-note", id: `${id}-${field.name}-note`, textContent: field.note });
    if (field.look_in) note.append(field.note ? "; look in " : "look in ", make("code", { textContent: field.look_in }));
    return [write(`${several ? `${number}. ` : ""}${field.question} `), note];
  }

  function drawOptions(field, number) {
    const type = field.kind === "one" ? "radio" : "checkbox";
    const chosen = new Set((model.get("values")[field.name] ?? "").split("+"));
    const [question, note] = describe(field, number);
    const group = make("fieldset", {}, make("legend", {}, ...question), note);
    group.setAttribute("aria-describedby", note.id);
    if (field.options.every(([, text]) => text.length < 3)) group.className = "lab-scale";
    for (const [value, text] of field.options) {
      const input = make("input", { type, name: `${id}-${field.name}`, value, checked: chosen.has(value) });
      input.addEventListener("change", () => {
        const checked = [...group.querySelectorAll("input:checked")].map((option) => option.value);
        set(field.name, checked.join("+"));
      });
      group.append(make("label", {}, input, ` ${text}`));
    }
    return group;
  }

  function drawText(field, number) {
    const [question, note] = describe(field, number);
    const input = make(field.kind === "lines" ? "textarea" : "input", { id: `${id}-${field.name}` });
    input.value = model.get("values")[field.name] ?? "";
    input.autocomplete = "off";
    if (field.kind === "number") input.inputMode = "decimal";
    input.setAttribute("aria-describedby", note.id);
    input.addEventListener("input", () => {
      if (field.kind === "number") {
        const digits = input.value.replace(/[^\d.,-]/g, "");
        if (digits !== input.value) {
          input.value = digits;
          note.textContent = "only digits here: the answer is a number";
        }
      }
      set(field.name, input.value);
    });
    const label = make("label", { htmlFor: input.id }, ...question);
    return make("div", { className: "lab-text" }, label, note, input);
  }

  function drawShare(field, number) {
    const [question, note] = describe(field, number);
    const kept = model.get("values")[field.name] ?? "";
    const input = make("input", { id: `${id}-${field.name}`, type: "range", min: "0", max: "1", step: "0.01" });
    input.value = kept || "0.5";
    const shown = make("span", { className: "lab-shown", textContent: kept || "move it" });
    input.setAttribute("aria-describedby", note.id);
    const move = () => {
      shown.textContent = input.value;
      set(field.name, input.value);
    };
    input.addEventListener("input", move);
    input.addEventListener("click", move);  // the middle can be meant, too
    const label = make("label", { htmlFor: input.id }, ...question);
    return make("div", { className: "lab-text lab-share" }, label, note, make("div", {}, input, shown));
  }

  // Under a question: the hints that were bought, and a button that asks once more before it buys the next one.
  function drawHint(field) {
    const box = make("div", { className: "lab-hint" });
    const tell = () => {
      const { taken = [], price = "" } = (model.get("hints") ?? {})[field.name] ?? {};
      const lines = taken.map((text, index) => make("div", {}, make("b", { textContent: `Hint ${index + 1}: ` }), ...write(text)));
      box.replaceChildren(...lines);
      if (!price) return;
      const what = taken.length ? "One more hint" : "A hint";
      const ask = make("button", { type: "button", className: "lab-small", textContent: `${what}: ${price} …` });
      ask.addEventListener("click", () => {
        const buy = make("button", { type: "button", className: "lab-small", textContent: "Yes, buy it" });
        const leave = make("button", { type: "button", className: "lab-small", textContent: "No" });
        const question = make("span", { textContent: `${what} costs ${price}. Buy it? ` });
        question.setAttribute("role", "status");
        const confirm = make("div", {}, question, buy, " ", leave);
        buy.addEventListener("click", () => press({ hint: field.name }));
        leave.addEventListener("click", () => { tell(); box.querySelector("button").focus(); });
        ask.replaceWith(confirm);
        buy.focus();
      });
      box.append(ask);
    };
    model.on("change:hints", tell);
    tell();
    return box;
  }

  function drawField(field, number) {
    const draw = field.options.length ? drawOptions : field.kind === "share" ? drawShare : drawText;
    const drawn = draw(field, number);
    if ((model.get("hints") ?? {})[field.name]) drawn.append(drawHint(field));
    return drawn;
  }

  // In place of a form whose stage is open: the lock, the points, and every question with the reason for its answer.
  function drawOpened(opened, isNew) {
    const lock = make("div", { className: isNew ? "lab-lock lab-now" : "lab-lock" });
    lock.innerHTML = `<svg role="img" aria-label="an open lock" viewBox="-2 -16 112 136" width="6.4em" height="7.8em">
      <path class="lab-shackle" d="M28 62 V38 a22 22 0 0 1 44 0 V62" fill="none" stroke="${model.get("colour")}"
        stroke-width="11" stroke-linecap="round"/>
      <rect x="10" y="56" width="80" height="60" rx="9" fill="${model.get("colour")}"/></svg>`;
    const face = make("span", { className: "lab-face" });
    face.innerHTML = model.get("mark");
    lock.append(face);
    const said = make("p", { className: "lab-done", role: "status", textContent: model.get("done") });
    const points = make("p", { className: "lab-points", textContent: opened.points });
    const parts = [make("div", { className: "lab-opening" }, lock, make("div", {}, said, points))];
    if (opened.reasons.length) {
      parts.push(make("ol", { className: "lab-reasons" }, ...opened.reasons.map(({ question, answer, why }) => make(
        "li", {}, make("div", {}, ...write(question)), make("div", {}, make("b", { textContent: `✓ ${answer}` })),
        make("div", { className: "lab-why" }, ...write(why))))));
    }
    return make("section", { className: "lab-opened" }, ...parts);
  }

  // In place of a bet whose run is finished: two bars, the bet and what came out.
  function drawOutcome({ bet, result, why, change }) {
    const bar = (name, share, className) => make("div", { className: "lab-bar" }, make("span", { textContent: name }),
      make("span", { className: "lab-track" }, make("span", { className, style: `width:${100 * share}%` })),
      make("b", { textContent: share.toFixed(3) }));
    const rows = [bar("your bet", bet, "lab-bet"), bar("came out", result, "lab-result")];
    if (change) rows.unshift(make("div", { textContent: `You changed: ${change}` }));
    if (why) rows.push(make("div", { textContent: `You thought: ${why}` }));
    return make("div", { className: "lab-outcome" }, make("p", { className: "lab-done", role: "status",
      textContent: model.get("done") }), ...rows);
  }

  function draw(change) {
    el.style.setProperty("--lab-group", model.get("colour"));
    const done = model.get("done"), opened = model.get("opened") ?? {}, outcome = model.get("outcome") ?? {};
    if (done) {
      drafts.forget(model.get("keep"));
      const simple = () => make("p", { className: "lab-done", role: "status", textContent: done });
      el.replaceChildren(opened.points ? drawOpened(opened, Boolean(change)) : "bet" in outcome ? drawOutcome(outcome) : simple());
      return;
    }
    const form = make("form", { className: "lab-form" }, title, ...model.get("fields").map(
      (field, index) => drawField(field, index + 1)), button, terminal, said);
    form.setAttribute("aria-label", model.get("title"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      press({});
    });
    el.replaceChildren(form);
  }

  let waiting = 0;  // the press that the kernel has not answered yet

  function press(what) {
    if (waiting) return;  // a kernel that trains answers later: pressing again would be another try
    waiting = model.get("heard") + 1;
    model.send({ press: waiting, values: model.get("values"), ...what });  // the newest change may still wait to be sent
    tell();
  }

  const title = make("p", { className: "lab-title" });
  title.innerHTML = model.get("mark");
  title.append(` ${model.get("title")}`);
  const button = make("button", { type: "submit", textContent: model.get("button") });
  const terminal = make("p", { className: "lab-terminal", id: `${id}-terminal` });
  button.setAttribute("aria-describedby", terminal.id);
  const said = make("div", { className: "lab-said" });
  said.setAttribute("role", "status");

  function tell() {
    const missing = model.get("missing");
    // Not `disabled`: whoever tabs on faster than the kernel answers would jump over it.
    if (model.get("heard") >= waiting) waiting = 0;
    button.setAttribute("aria-disabled", String(Boolean(missing || waiting)));
    button.textContent = model.get("button");
    terminal.replaceChildren("The same in a terminal: ", make("code", { textContent: model.get("command") }));
    if (missing) terminal.append(` (${missing})`);
    const text = model.get("said") || (waiting ? "waiting for the kernel …" : "");
    said.replaceChildren(...text.split("\n").filter((line) => line.trim()).map(drawLine));
  }

  if (!model.get("done")) {
    const draft = drafts.read(model.get("keep"));
    const known = model.get("fields").map((field) => field.name).filter((name) => name in draft);
    if (known.length) {  // what was typed last, even where something else was sent before
      model.set("values", { ...model.get("values"), ...Object.fromEntries(known.map((name) => [name, String(draft[name])])) });
      model.save_changes();
    }
  }
  // The notebook's own shortcuts (arrow keys, Enter) must not take what is typed here.
  el.dataset.lmSuppressShortcuts = "true";
  el.addEventListener("keydown", (event) => event.stopPropagation());
  for (const name of ["missing", "heard", "button", "command", "said"]) model.on(`change:${name}`, tell);
  model.on("change:done", draw);
  draw();
  tell();
}

export default { render };
