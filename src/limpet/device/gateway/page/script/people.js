// Who else may use the device: the owner invites, changes and ends.

const GRANTED = { viewer: "viewer: read", member: "member: use" };

async function peopleView() {
  const list = make("ul", { class: "list", id: "people" });
  const waiting = make("ul", { class: "list", id: "invitations" });
  const fill = async () => {
    const found = await ask("GET", "/v1/people");
    list.replaceChildren(...found.people.map((one) => personLine(one, fill)));
    waiting.replaceChildren(...found.invitations.map((one) => invitationLine(one, fill)));
  };
  await fill();
  return [card("People", list), inviteCard(waiting, fill), transferCard(await ask("GET", "/v1/ownership"))];
}

function personLine(one, fill) {
  const about = make("div", {}, make("p", {}, make("strong", {}, shorten(one.name))),
    make("p", { class: "hint" }, words(one.access) + (one.second_factor ? ", with second factor" : "")));
  if (one.access === "owner") return make("li", {}, about);
  const access = make("select", { "aria-label": `What ${one.name} may do` }, ...Object.entries(GRANTED).map(([value, text]) => {
    const option = make("option", { value }, text);
    option.selected = value === one.access;
    return option;
  }));
  access.addEventListener("change", () => once(access, async () => {
    await ask("PUT", "/v1/people/access", { name: one.name, access: access.value });
    say(`“${one.name}” is a ${access.value} now.`);
    await fill();
  }));
  const remove = button("Remove", async () => {
    await ask("POST", "/v1/people/remove", { name: one.name });
    say(`“${one.name}” has no access any more.`);
    await fill();
  }, "danger");
  remove.setAttribute("aria-label", `Remove ${one.name}`);
  return make("li", {}, about, make("div", { class: "row" }, access, remove));
}

function invitationLine(one, fill) {
  const withdraw = button("Withdraw", async () => {
    await ask("DELETE", `/v1/people/invitations/${encodeURIComponent(one.invitation_id)}`);
    say("The invitation is withdrawn.");
    await fill();
  }, "danger");
  withdraw.setAttribute("aria-label", `Withdraw the invitation of a ${one.access}`);
  return make("li", {}, make("div", {}, make("p", {}, `Invited as ${one.access}`),
    make("p", { class: "hint" }, `until ${when(one.expires_at)}`)), withdraw);
}

function inviteCard(waiting, fill) {
  const access = make("select", {}, ...Object.entries(GRANTED).map(([value, text]) => make("option", { value }, text)));
  const shown = make("div", { "aria-live": "polite" });
  return card("Invite somebody", hint("They get an account of their own, with a password that you do not know."), waiting,
    form([field("They may", access)], "Invite", async () => {
      const made = await ask("POST", "/v1/people/invitations", { access: access.value });
      shown.replaceChildren(
        hint(`Give this code to the new ${made.access}. It counts once, until ${when(made.expires_at)}, and is shown this once.`),
        make("p", { class: "secret", id: "invitation-code" }, made.code));
      await fill();
    }), shown);
}
