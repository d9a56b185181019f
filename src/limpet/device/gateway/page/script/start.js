// What is shown when: the claim, the login, or the sections.

const SECTIONS = [
  { id: "functions", label: "Use", view: functionsView },
  { id: "updates", label: "Updates", view: updatesView },
  { id: "access", label: "Access", view: accessView },
  { id: "people", label: "People", view: peopleView, least: "owner" },
  { id: "device", label: "Device", view: deviceView },
];

function place(cards, wide) {
  const view = document.getElementById("view");
  view.className = wide ? "wide" : "narrow";
  view.replaceChildren(...cards);
}

async function open(section) {
  live.listeners.clear();
  for (const tab of document.getElementById("tabs").children) {
    if (tab.dataset.section === section.id) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  const cards = await section.view();
  const current = document.querySelector("#tabs [aria-current]");
  if (!session.token || !current || current.dataset.section !== section.id) return;
  place(cards, true);
  document.getElementById("view").dataset.section = section.id;
}

async function begin() {
  const tabs = document.getElementById("tabs");
  alarm(await ask("GET", "/v1/ownership"));
  tabs.replaceChildren(...SECTIONS.filter((section) => session.has(section.least || "viewer")).map((section) => {
    const tab = button(section.label, () => open(section));
    tab.dataset.section = section.id;
    return tab;
  }));
  tabs.hidden = document.getElementById("logout").hidden = false;
  live.latest.clear();
  stream();
  await open(SECTIONS[0]);
}

function enter(message = "", claimed = true) {
  stopStream();
  live.listeners.clear();
  live.latest.clear();
  document.getElementById("tabs").hidden = document.getElementById("logout").hidden = true;
  alarm(null);
  place(claimed ? [loginView(), otherWaysView()] : [claimView()], false);
  delete document.getElementById("view").dataset.section;
  say(message, Boolean(message));
}

async function start() {
  const identity = await ask("GET", "/v1/identity");
  document.title = `${words(identity.model)} ${identity.serial}`;
  document.getElementById("maker").textContent = shorten(identity.maker);
  document.getElementById("title").textContent = shorten(words(identity.model));
  const support = identity.support;
  document.getElementById("facts").replaceChildren(
    make("p", {}, `Serial number ${identity.serial}, firmware ${identity.firmware_revision}`),
    make("p", { class: support.over ? "bad" : "" },
      support.over ? `Support ended on ${day(support.until)}.` : `Security updates until ${day(support.until)}.`));
  if (session.token && identity.claimed) await begin();
  else enter("", identity.claimed);
}

document.getElementById("logout").addEventListener("click", async () => {
  await ask("POST", "/v1/logout").catch(() => null);
  session.close();
  enter();
});

start().catch((error) => say(error.message, true));
