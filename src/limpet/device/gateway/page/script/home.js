// What the home gives the device: a certificate without a warning, and whether the network is told of it.

const RENEW_DAYS = 30; // say so from here on

async function homeCards() {
  const [household, announcement] = await Promise.all([ask("GET", "/v1/household"), ask("GET", "/v1/announcement")]);
  const cards = [householdCard(household)];
  if (announcement.declared) cards.push(announcementCard(announcement));
  return cards;
}

function householdCard(household) {
  const command = make("code", {}, "limpet owner trust");
  if (!household.installed) {
    return card("Without a warning", hint("Browsers do not know this device's maker. Your computer can give it a certificate of your household:"),
      make("p", {}, command));
  }
  const left = (new Date(household.not_after) - Date.now()) / 86400000;
  const until = make("span", { class: left < RENEW_DAYS ? "bad" : "good", id: "household-until" },
    left < 0 ? `ended on ${day(household.not_after)}` : `until ${day(household.not_after)}`);
  const box = card("Without a warning", facts([
    ["Certificate of", household.household], ["Valid", until],
    ["For", [...household.hostnames, ...household.addresses].join(", ")],
  ]));
  box.append(left < RENEW_DAYS
    ? hint("Browsers will warn after that day. Any command of limpet owner on your computer renews it.")
    : hint("Your computer renews it by itself when you use limpet owner."));
  box.append(make("details", {}, make("summary", {}, "Take it away"), form([], "Remove the certificate", async () => {
    await ask("DELETE", "/v1/household");
    box.replaceWith(householdCard({ installed: false }));
    say("Browsers are shown the maker's certificate again.");
  }, "danger")));
  return box;
}

function announcementCard(announcement) {
  const choice = tick("Tell the local network where this device is", announcement.enabled, { id: "announce" });
  return card("In the local network", hint(`Programs there find it as “${announcement.name}”, at ${announcement.host}. Nothing is told of you.`),
    form([choice.line], "Save", async () => {
      const now = await ask("PUT", "/v1/announcement", { enabled: choice.control.checked });
      say(now.enabled ? "The network is told." : "Nothing is told any more.");
    }));
}
