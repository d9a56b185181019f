// What this device is, until when it is supported, what happened on it, and what holds its processes.

async function deviceView() {
  const identity = await ask("GET", "/v1/identity");
  const cards = [identityCard(identity)];
  if (!session.has("owner")) return cards;
  const [device, log, home] = await Promise.all([ask("GET", "/v1/device"), ask("GET", "/v1/events"), homeCards()]);
  cards.push(...home, resetCard(), logCard(log.lines), confinementCard(device));
  return cards;
}

function identityCard(identity) {
  const support = identity.support;
  const until = make("span", { class: support.over ? "bad" : "good", id: "support" },
    support.over ? `ended on ${day(support.until)}` : `until ${day(support.until)}`);
  return card("About", facts([
    ["Maker", identity.maker], ["Model", identity.model], ["Hardware", identity.hardware_revision],
    ["Firmware", identity.firmware_revision], ["Serial number", identity.serial], ["Support", until],
    ["What that means", support.text],
    ["Security contact", identity.security_contact.join(", ")],
  ]));
}

function logCard(lines) {
  const rows = lines.slice().reverse().map((line) => {
    let entry = { event: line };
    try {
      entry = JSON.parse(line);
    } catch {
      // A line that is no JSON is shown as it is.
    }
    return make("tr", {}, make("td", {}, entry.at ? when(entry.at) : "–"),
      make("td", {}, shorten(String(entry.event))), make("td", {}, shorten(String(entry.detail ?? ""))));
  });
  const head = make("tr", {}, ...["When", "What", "Detail"].map((name) => make("th", { scope: "col" }, name)));
  const box = card("Security log", hint("Newest first. Each line seals the one before it."), make("div", { class: "row" }, button("Export", exportLog)),
    make("div", { class: "table", tabindex: 0 }, make("table", { id: "log" }, make("thead", {}, head), make("tbody", {}, ...rows))));
  box.classList.add("full");
  return box;
}

// All that the device keeps, as the lines that it sealed; whether each follows the one before.
async function exportLog() {
  const lines = [];
  for (let page = { more: true }, after = 0; page.more; after = JSON.parse(lines.at(-1)).number) {
    page = await ask("GET", `/v1/events?after=${after}`);
    lines.push(...page.lines);
    if (!page.lines.length) break;
  }
  const broken = await firstBroken(lines);
  const link = make("a", { download: "security-log.jsonl" });
  link.href = URL.createObjectURL(new Blob(lines.map((line) => line + "\n"), { type: "application/jsonl" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  if (broken) say(`Exported, but line ${broken} does not follow the one before: the log was tampered with.`, true);
  else say(`Exported: ${lines.length} entries, none of them changed, missing or added.`);
}

async function firstBroken(lines) {
  for (let place = 1; place < lines.length; place += 1) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(lines[place - 1]));
    const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (JSON.parse(lines[place]).previous !== hex) return place + 1;
  }
  return 0;
}

function confinementCard(device) {
  const parts = Object.entries(device.confinement).map(([role, mechanisms]) => {
    const missing = mechanisms.filter((one) => !one.in_force).length;
    const state = mechanisms.length ? (missing ? `${missing} not in force` : "all in force") : "starting";
    return make("details", {}, make("summary", {}, `${words(role)}: ${state}`),
      facts(mechanisms.map((one) => [words(one.mechanism),
        make("span", { class: one.in_force ? "good" : "bad" }, (one.in_force ? "in force" : "not in force") + (one.detail ? `: ${one.detail}` : ""))])));
  });
  const box = card("What holds each process within its bounds", hint(`Firmware ${device.firmware_revision}, slot ${device.slot}.`), ...parts);
  box.id = "confinement";
  box.classList.add("full");
  return box;
}

function resetCard() {
  const secret = password("Your password", "current-password");
  const second = secondFactor();
  return card("Reset it", hint("A factory reset destroys accounts and data. You get a fresh code with which the next owner claims the device."),
    make("details", {}, make("summary", {}, "Factory reset"), form([secret.box, second.box], "Destroy everything", async () => {
      const made = await proving(second, (more) => ask("POST", "/v1/reset", { password: secret.control.value, ...more }));
      session.close();
      stopStream();
      alarm(null);
      document.getElementById("view").replaceChildren(card("Reset", hint("The device restarts. Whoever is next claims it with this code, which is shown this once; or with its button pressed and the code on its label."),
        make("p", { class: "secret", id: "fresh-code" }, made.code)));
      document.getElementById("tabs").hidden = document.getElementById("logout").hidden = true;
    }, "danger")));
}
