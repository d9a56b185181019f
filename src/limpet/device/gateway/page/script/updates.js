// Where updates stand, why one is held, and the owner's policy.

const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const STATES = {
  idle: "Up to date, as far as this device knows", checking: "Looking for updates",
  held: "An update is waiting", downloading: "Fetching an update", installing: "Installing an update",
  trial: "Trying the new firmware",
};

async function updatesView() {
  const place = make("div");
  const update = await ask("GET", "/v1/update");
  const owner = session.has("owner");
  const install = installButton();
  const show = (value) => {
    place.replaceChildren(...updateState(value));
    install.hidden = !(value.held && value.held.consent_ends);
  };
  show(update);
  listen("update", "", show);
  const cards = [card("Firmware", place, owner ? make("div", { class: "row" }, checkButton(), install) : null)];
  if (owner) cards.push(postponeCard(), policyCard(update.policy), networkCard(update.policy));
  return cards;
}

function updateState(value) {
  const parts = [make("p", { class: "state" }, make("strong", {}, STATES[value.state] || value.state))];
  const why = value.held ? value.held.text : value.reason;
  if (why) parts.push(make("p", { id: "why" }, shorten(why)));
  parts.push(facts([
    ["Running", value.running], ["Waiting", value.available],
    ["Fetched", value.fetching ? fetched(value.fetching) : ""],
    ["Held since", value.held ? when(value.held.since) : ""],
    ["Held until", value.held && value.held.until ? when(value.held.until) : ""],
    ["Postponed until", value.postponed_until ? when(value.postponed_until) : ""],
    ["You can hold it until", value.hold_until ? when(value.hold_until) : ""],
    ["Last check", value.last_check ? when(value.last_check) : "not yet"],
    ["Next check", value.next_check ? when(value.next_check) : ""],
    ["Supported until", value.support_until ? day(value.support_until) : ""],
  ]));
  if (value.support_notice) parts.push(hint(value.support_notice, value.support_over ? "bad" : "hint"));
  if (value.support_over) parts.push(hint(value.support_text));
  return parts;
}

function fetched(file) {
  const megabytes = (count) => `${(count / 1e6).toFixed(1)} MB`;
  const share = Math.round(100 * file.done / Math.max(file.size, 1));
  return `${file.way === "delta" ? "delta" : "whole image"}, ${megabytes(file.done)} of ${megabytes(file.size)} (${share} %)`;
}

function checkButton() {
  return button("Check now", async () => {
    await ask("POST", "/v1/update/check");
    say("Checked.");
  });
}

// Shown only while the owner's word ends what holds the update.
function installButton() {
  return button("Install now", async () => {
    await ask("POST", "/v1/update/install");
    say("The update that waits is installed now. The device restarts.");
  }, "");
}

function postponeCard() {
  const days = make("input", { type: "number", required: true, min: 0, max: 365, step: 1, value: 7 });
  return card("Not now", form([
    field("Install nothing for", days, "0 ends it; how long at most is up to the product", "days"),
  ], "Postpone", async () => {
    await ask("POST", "/v1/update/postpone", { days: Number(days.value) });
    say(Number(days.value) ? "Postponed." : "Nothing is postponed any more.");
  }));
}

function clock(minute) {
  const two = (part) => String(part).padStart(2, "0");
  return `${two(Math.floor(minute / 60) % 24)}:${two(minute % 60)}`;
}

function minutes(text) {
  const [hour, minute] = text.split(":").map(Number);
  return hour * 60 + minute;
}

function policyCard(policy) {
  const automatic = tick("Install updates by themselves", policy.automatic, { id: "automatic" });
  const first = tick("Ask me before each one", policy.ask, { id: "ask" });
  const start = make("input", { type: "time", required: true, value: clock(policy.window.start_minute) });
  const end = make("input", { type: "time", required: true, value: clock(policy.window.end_minute) });
  const zone = make("input", {
    type: "text", required: true, maxlength: 64, value: policy.window.zone, autocomplete: "off", spellcheck: "false",
  });
  const days = DAYS.map((name, index) => tick(name, policy.window.days.includes(index)));
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  return card("When updates are installed", form([
    automatic.line, first.line,
    make("fieldset", {}, make("legend", {}, "On these days"), make("div", { class: "days" }, ...days.map((one) => one.line))),
    make("div", { class: "pair" }, field("From", start), field("To", end, "the same time as From: all day")),
    field("Time zone", zone, `this browser's: ${here}`),
  ], "Save", async () => {
    const from = minutes(start.value);
    const to = minutes(end.value);
    await keepPolicy(policy, {
      automatic: automatic.control.checked, ask: first.control.checked,
      window: {
        days: days.flatMap((one, index) => (one.control.checked ? [index] : [])),
        start_minute: from === to ? 0 : from, end_minute: from === to ? 1440 : to, zone: zone.value.trim(),
      },
    });
    say("Saved.");
  }));
}

// What one card changes; the other goes on from it.
async function keepPolicy(policy, changes) {
  await ask("PUT", "/v1/update/policy", { ...policy, ...changes });
  Object.assign(policy, changes);
  if (policy.proxy) policy.proxy = { ...policy.proxy, password: null };
}

function networkCard(policy) {
  const proxy = policy.proxy || { host: "", port: "", user: "" };
  const metered = tick("This network costs by the byte: images wait for your word", policy.metered, { id: "metered" });
  const limit = make("input", {
    type: "number", min: "8", max: "1048576", step: "1", value: policy.bandwidth ? String(Math.round(policy.bandwidth / 1024)) : "",
  });
  const host = make("input", { type: "text", maxlength: 253, value: proxy.host, autocomplete: "off", spellcheck: "false" });
  const port = make("input", { type: "number", min: "1", max: "65535", step: "1", value: String(proxy.port) });
  const user = make("input", { type: "text", maxlength: 128, value: proxy.user, autocomplete: "off", spellcheck: "false" });
  const password = make("input", { type: "password", maxlength: 256, autocomplete: "off" });
  return card("The network that updates come by", form([
    metered.line,
    field("At most", limit, "KiB a second; empty: no limit"),
    make("details", { open: Boolean(policy.proxy) }, make("summary", {}, "By an HTTP proxy"),
      make("div", { class: "pair" }, field("Proxy", host, "empty: none"), field("Port", port)),
      make("div", { class: "pair" }, field("User name for the proxy", user),
        field("Password for the proxy", password, "empty: as before"))),
  ], "Apply", async () => {
    await keepPolicy(policy, {
      metered: metered.control.checked,
      bandwidth: limit.value ? Number(limit.value) * 1024 : null,
      proxy: host.value.trim() ? {
        host: host.value.trim(), port: Number(port.value || 3128), user: user.value.trim(), password: password.value || null,
      } : null,
    });
    password.value = "";
    say("Applied.");
  }));
}
