// Live values over fetch, because an EventSource cannot show a token. One stream while the page
// is looked at, asked for again when it ends, and none while nobody looks.

const RETRY_MILLISECONDS = 3000;
const MAX_EVENT = 512 * 1024; // characters without an end that are kept

const live = { control: null, listeners: new Map(), latest: new Map() };

function listen(event, name, listener) {
  live.listeners.set(`${event} ${name}`, listener);
  const known = live.latest.get(`${event} ${name}`);
  if (known) listener(known);
}

function tell(event, value) {
  const key = `${event} ${event === "reading" ? value.name : ""}`;
  live.latest.set(key, value);
  if (event === "ownership") alarm(value);
  const listener = live.listeners.get(key);
  if (listener) listener(value);
}

async function stream() {
  stopStream();
  const control = new AbortController();
  live.control = control;
  while (!control.signal.aborted && session.token) {
    try {
      await readStream(control.signal);
    } catch (error) {
      if (control.signal.aborted) return;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
  }
}

async function readStream(signal) {
  const answer = await fetch("/v1/stream", {
    headers: { authorization: `Bearer ${session.token}`, accept: "text/event-stream" },
    cache: "no-store", redirect: "error", signal,
  });
  if (answer.status === 401) {
    if (session.token) {
      session.close();
      enter("Your session has ended. Log in again.");
    }
    return;
  }
  if (!answer.ok) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    if (text.length > MAX_EVENT) throw new Error("an event without an end");
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) readEvent(event);
  }
}

function readEvent(text) {
  let kind = "";
  let data = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) kind = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (kind && data) tell(kind, JSON.parse(data));
}

function stopStream() {
  if (live.control) live.control.abort();
  live.control = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") stopStream();
  else if (session.token) stream();
});
