// A device changes hands: the transfer that its owner starts, and the takeover that one objects to.

function transferCard(ownership) {
  const box = card("Give it to another owner");
  box.id = "transfer";
  const refill = async () => box.replaceWith(transferCard(await ask("GET", "/v1/ownership")));
  if (ownership.transfer) {
    box.append(hint(`A code waits to be used, until ${when(ownership.transfer.until)}.`),
      button("Keep the device", async () => {
        await ask("DELETE", "/v1/transfer");
        say("The transfer is cancelled: its code opens nothing any more.");
        await refill();
      }));
    return box;
  }
  const secret = password("Your password", "current-password");
  const second = secondFactor();
  const keep = tick("Leave the data to the next owner");
  const shown = make("div", { "aria-live": "polite" });
  box.append(hint("When the next owner uses the code, you and everybody else here lose access."),
    make("details", {}, make("summary", {}, "Start a transfer"),
      form([secret.box, second.box, keep.line], "Make the code", async () => {
        const made = await proving(second, (more) => ask("POST", "/v1/transfer", {
          password: secret.control.value, erase: !keep.control.checked, ...more,
        }));
        secret.control.value = "";
        shown.replaceChildren(hint(`Give this code to the next owner. It counts once, until ${when(made.until)}, and is shown this once.`),
          make("p", { class: "secret", id: "transfer-code" }, made.code), button("Close", refill));
      })), shown);
  return box;
}

// Shown on every section, and alive: whoever owns the device must not miss it.
function alarm(ownership) {
  const box = document.getElementById("alarm");
  const takeover = ownership && session.token ? ownership.takeover : null;
  if (!takeover) {
    box.replaceChildren();
    return;
  }
  const text = `Somebody who has this device in hand asks to take it over. It is theirs, and erased, when it has run for another ${hours(takeover.seconds_left)}.`;
  box.replaceChildren(make("p", {}, make("strong", {}, text)), session.has("owner") ? button("Object: it is mine", async () => {
    await ask("DELETE", "/v1/takeover");
    alarm(null);
    say("The takeover is cancelled. The device stays yours.");
  }, "danger") : hint("Its owner can object, here or by logging in."));
}
