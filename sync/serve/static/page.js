"use strict";
// What the server sends is set as text, never as markup. Nothing is loaded from elsewhere.
(() => {
  const root = document.body.dataset.root;
  const KEY = "ispyb-sync token";
  const MOST = 200; // changes that are listed
  const by = (id) => document.getElementById(id);

  /** An element with text or children. */
  function el(name, inside, attributes = {}) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...(Array.isArray(inside) ? inside : [String(inside ?? "")]));
    return made;
  }

  const say = (text) => { by("says").textContent = text; };

  /** Asks the server; a refusal becomes an Error with the server's own words. */
  async function ask(path, options = {}) {
    const token = sessionStorage.getItem(KEY);
    const headers = { Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}), ...options.headers };
    let answer;
    try {
      answer = await fetch(root + path, { ...options, headers, cache: "no-store" });
    } catch {
      throw new Error("The server does not answer.");
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      by("access").hidden = false;
      if (token) { sessionStorage.removeItem(KEY); by("forget").hidden = true; }
    }
    throw new Error(words(answer.status, await answer.json().catch(() => ({}))));
  }

  function words(status, body) {
    if (status === 401) return body.detail === "No token provided." ? "A token is needed." : `${body.detail}.`;
    if (status === 403) return "Your token does not allow this.";
    if (status === 422) return "That is no proposal's name. Write it as MX-2112.";
    return typeof body.detail === "string" ? body.detail : `The server answered ${status}.`;
  }

  /** Runs what a button does, once at a time, and says what goes wrong. */
  async function doing(button, work) {
    if (button) button.disabled = true;
    say("");
    try {
      await work();
    } catch (error) {
      say(error.message);
    } finally {
      if (button) button.disabled = false;
    }
  }

  // Reports

  const sum = (report, name) => Object.values(report.entities).reduce((total, counts) => total + counts[name], 0);
  const show = (value) => (value === null ? "nothing" : typeof value === "object" ? JSON.stringify(value) : String(value));

  function numbers(report) {
    const parts = ["inserted", "updated", "deleted"].filter((name) => sum(report, name)).map((name) => `${sum(report, name)} ${name}`);
    return parts.join(", ") || "nothing to change";
  }

  function table(heads, rows) {
    const head = el("thead", [el("tr", heads.map((name) => el("th", name, { scope: "col" })))]);
    return el("table", [head, el("tbody", rows)]);
  }

  function totals(report) {
    const names = ["inserted", "updated", "deleted", "refused", "unchanged"];
    const rows = Object.entries(report.entities).filter(([, counts]) => names.some((name) => counts[name]));
    if (!rows.length) return el("p", "No row was looked at.", { class: "soft" });
    return el("div", [table(["entity", ...names], rows.map(([entity, counts]) => el("tr", [
      el("th", entity, { scope: "row" }),
      ...names.map((name) => el("td", counts[name], { class: `number ${name}${counts[name] ? "" : " none"}` })),
    ])))], { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows by entity" });
  }

  function refusals(report) {
    const causes = report.refusals.filter((refusal) => refusal.code !== "parent_refused");
    const waiting = report.refusals.length - causes.length;
    const made = causes.map((refusal) => el("div", [
      el("b", `${refusal.entity}: ${refusal.code}`), " ",
      el("span", [refusal.proposal, refusal.path].filter(Boolean).join(" "), { class: "soft" }),
      el("p", refusal.message),
    ], { class: "refusal" }));
    if (waiting) made.push(el("p", `${waiting} more wait for these.`, { class: "soft" }));
    return made;
  }

  function change(done) {
    const fields = Object.entries(done.fields).map(([name, value]) =>
      done.action === "update" ? `${name}: ${show(value.old)} → ${show(value.new)}` : `${name} ${show(value.new ?? value.old)}`);
    return el("li", `${done.action} ${done.entity} ${done.key ?? ""}: ${fields.join(", ")}`);
  }

  function draw(place, report, title) {
    const parts = [el("h3", title), el("p", numbers(report))];
    if (report.actor) parts.push(el("p", `by ${report.actor} (${report.trigger})${report.started ? `, ${report.started}` : ""}`, { class: "soft" }));
    parts.push(...refusals(report), totals(report));
    parts.push(...report.warnings.map((warning) => el("div", `${warning.message} (${warning.count})`, { class: "warning" })));
    if (report.changes.length) {
      const listed = el("ul", report.changes.slice(0, MOST).map(change), { class: "changes" });
      const more = report.changes.length - MOST;
      parts.push(el("details", [el("summary", `${report.changes.length} changes`), listed, ...(more > 0 ? [el("p", `${more} more are in the report.`)] : [])], { open: "" }));
    }
    place.replaceChildren(...parts);
    place.focus();
  }

  // One proposal

  const named = () => by("proposal").value.trim();

  async function lookUp() {
    by("sync").disabled = true;
    by("outcome").replaceChildren();
    const found = await (await ask(`/proposals/${encodeURIComponent(named())}/runs?limit=5`)).json();
    const last = found[0];
    by("last").replaceChildren(last
      ? el("p", `Last sync of ${named()}: run ${last.run}, ${last.started}, by ${last.actor} (${last.trigger}): ${numbers(last)}, ${last.refusals.length} refused.`)
      : el("p", `${named()} was not synced yet, as far as history goes.`));
    by("last").append(...(last ? refusals({ refusals: last.refusals.filter((refusal) => refusal.proposal === named()) }) : []));
  }

  by("look-up").addEventListener("submit", (event) => {
    event.preventDefault();
    doing(null, lookUp);
  });
  by("proposal").addEventListener("input", () => { by("sync").disabled = true; });
  by("plan").addEventListener("click", () => {
    if (!by("look-up").reportValidity()) return;
    doing(by("plan"), async () => {
      const name = named();
      const report = await (await ask(`/proposals/${encodeURIComponent(name)}/sync`)).json();
      draw(by("outcome"), report, `Plan for ${name}: what Sync would do`);
      by("sync").disabled = name !== named();
    });
  });
  by("sync").addEventListener("click", () => doing(by("plan"), async () => {
    const name = named();
    by("sync").disabled = true;
    say(`Syncing ${name}`);
    const report = await (await ask(`/proposals/${encodeURIComponent(name)}/sync`, { method: "POST" })).json();
    say("");
    await lookUp().catch(() => {}); // somebody who may sync their own proposal may not read history
    draw(by("outcome"), report, `${name} is synced: run ${report.run}`);
    await runs().catch(() => {});
  }));

  // Everything

  const sure = (asking) => { by("sure").hidden = !asking; by("all").hidden = asking; };
  by("all").addEventListener("click", () => { sure(true); by("no").focus(); });
  by("no").addEventListener("click", () => { sure(false); by("all").focus(); });
  by("yes").addEventListener("click", () => { sure(false); doing(by("all"), everything); });

  async function everything() {
    by("all-outcome").replaceChildren();
    by("progress").hidden = false;
    by("bar").removeAttribute("value");
    by("read").textContent = "waiting for the User Portal";
    try {
      const answer = await ask("/exports", { method: "POST" });
      for await (const [name, data] of events(answer.body)) {
        if (name === "progress") {
          if (data.total_bytes) { by("bar").max = data.total_bytes; by("bar").value = data.bytes_read; }
          by("read").textContent = `${(data.bytes_read / 1e6).toFixed(1)} MB read`;
        } else if (name === "error") {
          throw new Error(words(data.status, data));
        } else {
          draw(by("all-outcome"), data, `Everything is synced: run ${data.run}`);
          await runs();
          return;
        }
      }
      throw new Error("The server broke off. The latest runs tell whether it was done.");
    } finally {
      by("progress").hidden = true;
    }
  }

  /** The server-sent events of an answer: pairs of name and data. */
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const found = /^event: (\w+)\ndata: (.*)$/s.exec(block);
        if (found) yield [found[1], JSON.parse(found[2])];
      }
    }
  }

  // Past runs

  async function runs() {
    const found = await (await ask("/runs")).json();
    const heads = ["run", "started", "mode", "status", "trigger", "actor", "inserted", "updated", "deleted", "refused", ""];
    const rows = found.map((run) => {
      const button = el("button", "Report", { type: "button", "aria-label": `Report of run ${run.run}` });
      button.addEventListener("click", () => doing(button, async () => {
        draw(by("report"), await (await ask(`/runs/${run.run}`)).json(), `Run ${run.run}: ${run.mode}, ${run.status}`);
      }));
      return el("tr", [
        el("th", run.run, { scope: "row" }),
        ...[run.started.slice(0, 19).replace("T", " "), run.mode, run.status, run.trigger, run.actor].map((text) => el("td", text)),
        ...["inserted", "updated", "deleted"].map((name) => el("td", sum(run, name), { class: "number" })),
        el("td", run.refusals.length, { class: `number refused${run.refusals.length ? "" : " none"}` }),
        el("td", [button]),
      ]);
    });
    by("runs").replaceChildren(rows.length ? table(heads, rows) : el("p", "No runs yet."));
    chart(found.slice().reverse());
  }

  function chart(found) {
    by("chart").hidden = found.length < 2;
    const svg = by("chart").querySelector("svg");
    svg.setAttribute("viewBox", `0 0 ${found.length * 10} 100`);
    svg.setAttribute("aria-label", `Rows changed by the latest ${found.length} runs`);
    const changed = found.map((run) => ["inserted", "updated", "deleted"].reduce((total, name) => total + sum(run, name), 0));
    const top = Math.log10(Math.max(...changed, 9) + 1);
    const box = (x, y, height, name) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [key, value] of Object.entries({ x, y, height, width: 8, class: name })) made.setAttribute(key, value);
      return made;
    };
    svg.replaceChildren(...found.flatMap((run, place) => {
      const height = Math.max(1, (90 * Math.log10(changed[place] + 1)) / top);
      const bar = box(place * 10 + 1, 100 - height, height, "bar");
      return run.refusals.length ? [bar, box(place * 10 + 1, 96 - height, 4, "cap")] : [bar];
    }));
  }

  // Tokens

  by("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, by("token").value.trim());
    by("token").value = "";
    by("access").hidden = true;
    by("forget").hidden = false;
    doing(null, runs);
  });
  by("forget").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    location.reload();
  });
  by("forget").hidden = !sessionStorage.getItem(KEY);
  doing(null, runs);
})();
