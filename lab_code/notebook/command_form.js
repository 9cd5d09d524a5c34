// The form of command_form.py in the browser. Python decides everything; here it is only drawn, with plain HTML.

let forms = 0;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function render({ model, el }) {
  const id = `lab-form-${++forms}`;
  const set = (name, value) => {
    model.set("values", { ...model.get("values"), [name]: value });
    model.save_changes();
  };

  function describe(field, number) {
    const note = make("span", { className: "lab-note", id: `${id}-${field.name}-note`, textContent: field.note });
    if (field.look_in) note.append(field.note ? "; look in " : "look in ", make("code", { textContent: field.look_in }));
    return [`${number}. ${field.question} `, note];
  }

  function drawOptions(field, number) {
    const type = field.kind === "one" ? "radio" : "checkbox";
    const chosen = new Set((model.get("values")[field.name] ?? "").split("+"));
    const [question, note] = describe(field, number);
    const group = make("fieldset", {}, make("legend", { textContent: question }), note);
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
    const input = make(field.kind === "line" ? "input" : "textarea", { id: `${id}-${field.name}` });
    input.value = model.get("values")[field.name] ?? "";
    input.autocomplete = "off";
    input.setAttribute("aria-describedby", note.id);
    input.addEventListener("input", () => set(field.name, input.value));
    const label = make("label", { htmlFor: input.id, textContent: question });
    return make("div", { className: "lab-text" }, label, note, input);
  }

  function draw() {
    if (model.get("done")) {
      el.replaceChildren(make("p", { className: "lab-done", role: "status", textContent: model.get("done") }));
      return;
    }
    const fields = model.get("fields").map((field, index) =>
      (field.options.length ? drawOptions : drawText)(field, index + 1));
    const form = make("form", { className: "lab-form" }, title, ...fields, button, terminal, said);
    form.setAttribute("aria-label", model.get("title"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (waiting) return;  // a kernel that trains answers later: pressing again would be another try
      waiting = model.get("heard") + 1;
      model.send({ press: waiting, values: model.get("values") });  // the newest change may still wait to be sent
      tell();
    });
    el.replaceChildren(form);
  }

  let waiting = 0;  // the press that the kernel has not answered yet
  const title = make("p", { className: "lab-title", textContent: model.get("title") });
  const button = make("button", { type: "submit", textContent: model.get("button") });
  const terminal = make("p", { className: "lab-terminal", id: `${id}-terminal` });
  button.setAttribute("aria-describedby", terminal.id);
  const said = make("pre", {});
  said.setAttribute("role", "status");

  function tell() {
    const missing = model.get("missing");
    // Not `disabled`: whoever tabs on faster than the kernel answers would jump over it.
    if (model.get("heard") >= waiting) waiting = 0;
    button.setAttribute("aria-disabled", String(Boolean(missing || waiting)));
    button.textContent = model.get("button");
    terminal.replaceChildren("The same in a terminal: ", make("code", { textContent: model.get("command") }));
    if (missing) terminal.append(` (${missing})`);
    said.textContent = model.get("said") || (waiting ? "waiting for the kernel …" : "");
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
