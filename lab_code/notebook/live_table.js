// In an output of live_table.py: goes on with the table where the kernel's drawings do not arrive any more, because
// the page was loaded again or the notebook's tab reopened. It asks Jupyter's server, which reads the kit.
{
  const box = document.currentScript?.closest("[data-lab-run]");  // null in programs that run scripts elsewhere
  const page = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}");
  let failures = 0;
  const look = async () => {
    if (!box?.isConnected) return;  // the kernel has drawn a newer one in its place
    try {
      const answer = await fetch(`${page.baseUrl ?? "/"}lab-run/${box.dataset.labRun}`);
      if (!answer.ok) throw answer;
      box.innerHTML = await answer.text();
      if (answer.headers.get("x-lab-run") !== "running") return;
      failures = 0;
    } catch {
      if (++failures > 30) return;
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 1500);
}
