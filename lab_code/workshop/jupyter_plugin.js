// What `lab start` adds to JupyterLab's page: a click on a path in a notebook opens that file beside the notebook, at the
// line where reading begins. Paths stay text in what is saved, so they are text wherever this plugin is not.
//
// It has the form in which JupyterLab loads extensions that are already built (`desk.py` puts it into their folder).

const WHERE = ".jp-RenderedMarkdown, .jp-OutputArea-output";  // of a notebook
const NOT_IN = "a, button, textarea, svg, style, script, .cm-editor";
const PATH = /(?:[\w.-]+\/)*[\w.-]+\.(?:py|yaml|ipynb|md|csv)\b(?::\d+)?|(?:[\w.-]+\/)+(?![\w*])/g;
const WIDE = 1600;  // pixels
const PAUSE_MS = 2_000;  // at least, between two looks at which files there are

function activate(app) {
  const { baseUrl, token } = app.serviceManager.serverSettings;
  let files = [], folders = [], asked = 0, last = null;

  async function ask(query = "") {
    const headers = token ? { Authorization: `token ${token}` } : {};
    const answer = await fetch(`${baseUrl}lab-files${query}`, { headers, cache: "no-store" });
    return answer.ok ? await answer.json() : {};
  }

  // The file or folder that a text means: by its whole path, or by an end of it that only one has.
  function resolve(text) {
    const known = text.endsWith("/") ? folders : files;
    if (known.includes(text)) return text;
    const ends = known.filter((path) => path.endsWith(`/${text}`) || text.endsWith(`/${path}`));
    return ends.length === 1 ? ends[0] : "";
  }

  async function open(path, line, panel) {
    if (path.endsWith("/")) {
      await app.commands.execute("filebrowser:go-to-path", { path: path.slice(0, -1) });
      return;
    }
    const beside = last && !last.isDisposed && last.isAttached && !panel.contains(last.node);
    if (!beside && window.innerWidth < WIDE) app.shell.collapseLeft();  // two pages need the room
    const options = beside ? { mode: "tab-after", ref: last.id } : { mode: "split-right", ref: panel.id };
    const first = line || (await ask(`?path=${encodeURIComponent(path)}`)).line;
    last = await app.commands.execute("docmanager:open", { path, options });
    await last.context.ready;
    const editor = last.content.editor;
    if (!editor || !first) return;
    const position = { line: first - 1, column: 0 };
    editor.setCursorPosition(position);
    requestAnimationFrame(() => {  // the line to the top, not just into sight
      editor.editor.scrollDOM.scrollTop = editor.editor.lineBlockAt(editor.getOffsetAt(position)).top;
    });
  }

  function makeButton(text, path, line) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "lab-path", textContent: text, title: `open ${path}` });
    button.dataset.lmSuppressShortcuts = "true";  // Enter is this button's, not the notebook's
    button.addEventListener("keydown", (event) => event.stopPropagation());
    button.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopPropagation();
      open(path, line, button.closest(".jp-NotebookPanel")).catch(() => asked = 0);
    });
    return button;
  }

  const settled = new WeakSet();  // text beside our buttons: it has been looked at

  function settle(text) {
    const node = document.createTextNode(text);
    settled.add(node);
    return node;
  }

  // Returns whether a path was found that no file has (yet).
  function link(node) {
    const pieces = [];
    let at = 0, unknown = false;
    for (const match of node.data.matchAll(PATH)) {
      const [text, line] = match[0].split(/:(?=\d+$)/);
      const path = resolve(text);
      unknown ||= !path && text.includes("/");
      if (!path) continue;
      pieces.push(settle(node.data.slice(at, match.index)));
      if (node.parentElement.closest("label")) {  // a click on an option chooses it; what opens its file stands behind it
        const button = makeButton("↗", path, Number(line));
        button.setAttribute("aria-label", `open ${path}`);
        pieces.push(settle(`${match[0]} `), button);
      } else {
        pieces.push(makeButton(match[0], path, Number(line)));
      }
      at = match.index + match[0].length;
    }
    if (pieces.length) node.replaceWith(...pieces, settle(node.data.slice(at)));
    return unknown;
  }

  function linkAll(root) {
    if (!root.isConnected || root.closest(NOT_IN)) return false;
    const inside = root.closest(WHERE) ? [root] : [...root.querySelectorAll(WHERE)];
    let unknown = false;
    for (const part of inside.filter((part) => part.closest(".jp-Notebook"))) {
      const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
      const texts = [];
      while (walker.nextNode()) texts.push(walker.currentNode);
      for (const text of texts) {
        if (/[./]/.test(text.data) && !settled.has(text) && !text.parentElement.closest(NOT_IN))
          unknown = link(text) || unknown;
      }
    }
    return unknown;
  }

  async function look() {
    asked = Date.now();
    files = (await ask()).files ?? files;
    folders = [...new Set(files.flatMap((path) => [...path.matchAll(/\//g)].map((slash) => path.slice(0, slash.index + 1))))];
    linkAll(document.body);
  }

  const changed = new Set();
  function work() {
    const roots = [...changed];
    changed.clear();
    const unknown = roots.map(linkAll).some(Boolean);
    if (unknown && Date.now() - asked > PAUSE_MS) look();  // a stage may have been opened
  }
  new MutationObserver((records) => {
    const before = changed.size;
    for (const { target, addedNodes } of records) {
      const element = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
      if (addedNodes.length && element) changed.add(element);
    }
    if (!before && changed.size) requestAnimationFrame(work);
  }).observe(document.body, { childList: true, subtree: true });

  const style = document.createElement("style");
  style.textContent = `.lab-path { font: inherit; color: var(--jp-content-link-color, #0b5fa5); background: none; border: 0; padding: 0;
    margin: 0; text-decoration: underline; cursor: pointer; text-align: left; }
    .lab-path:focus-visible { outline: 3px solid #e5a50a; outline-offset: 1px; }`;
  document.head.append(style);
  look();
}

const plugin = { id: "lab-kit:paths", description: "Opens files by a click on their path.", autoStart: true, activate };
window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB["lab-kit"] = { init: () => {}, get: async () => () => ({ __esModule: true, default: plugin }) };
