"use strict";
// The sync button for another page, which loads this with one tag, where the button is to stand:
//   <script src="https://sync.example.org/button.js" data-proposal="MX-2112" data-token="eyJ..." defer></script>
// It asks what would change, shows it, and does it when told to. What the server sends is set as text.
(() => {
  const script = document.currentScript;
  const { proposal, token } = script.dataset;
  const url = `${new URL(script.src).origin}{{root}}/proposals/${encodeURIComponent(proposal)}/sync`;
  const box = document.createElement("span");
  const says = document.createElement("span");
  says.setAttribute("role", "status");

  function button(text, work) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", work);
    return made;
  }

  async function ask(method) {
    says.textContent = method === "GET" ? " looking …" : " syncing …";
    box.replaceChildren(says);
    try {
      const answer = await fetch(url, { method, headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
      const body = await answer.json();
      if (!answer.ok) throw new Error(typeof body.detail === "string" ? body.detail : `The server answered ${answer.status}.`);
      return body;
    } catch (error) {
      const away = error instanceof TypeError ? "The sync server does not answer this page." : error.message;
      begin(` ${away}`);
      return null;
    }
  }

  function words(report) {
    const sum = (name) => Object.values(report.entities).reduce((total, counts) => total + counts[name], 0);
    const parts = ["inserted", "updated", "deleted", "refused"].filter(sum).map((name) => `${sum(name)} ${name}`);
    return parts.join(", ") || "nothing to change";
  }

  async function plan() {
    const report = await ask("GET");
    if (!report) return;
    says.textContent = ` ${proposal}: ${words(report)} `;
    box.replaceChildren(says, button("Sync", sync), button("Cancel", () => begin("")));
  }

  async function sync() {
    const report = await ask("POST");
    if (report) begin(` ${proposal} is synced: ${words(report)}`);
  }

  function begin(text) {
    says.textContent = text;
    box.replaceChildren(button(`Sync ${proposal} with the User Portal`, plan), says);
  }

  begin("");
  script.after(box);
})();
