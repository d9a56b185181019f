// What this device is, until when it is supported, what happened on it, and what holds its processes.

async function deviceView() {
  const identity = await ask("GET", "/v1/identity");
  const cards = [identityCard(identity)];
  if (!session.has("owner")) return cards;
  const [device, log] = await Promise.all([ask("GET", "/v1/device"), ask("GET", "/v1/events")]);
  cards.push(resetCard(), logCard(log.lines), confinementCard(device));
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
  const box = card("Security log", hint("Newest first. Each line seals the one before it."),
    make("div", { class: "table", tabindex: 0 }, make("table", { id: "log" }, make("thead", {}, head), make("tbody", {}, ...rows))));
  box.classList.add("full");
  return box;
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
  return card("Hand it on", hint("A factory reset destroys accounts and data. The label's code then claims the device again."),
    make("details", {}, make("summary", {}, "Factory reset"), form([secret.box], "Destroy everything", async () => {
      await ask("POST", "/v1/reset", { password: secret.control.value });
      session.close();
      stopStream();
      document.getElementById("view").replaceChildren(card("Reset", hint("The device restarts. Load this page again in a moment.")));
      document.getElementById("tabs").hidden = document.getElementById("logout").hidden = true;
    }, "danger")));
}
