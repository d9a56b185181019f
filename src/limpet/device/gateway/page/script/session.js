// Asks the API. The token lives in this tab only (sessionStorage): no browser sends it by itself,
// so that no other site can act in the owner's name.

class Refused extends Error {
  constructor(status, problem, again) {
    const wait = again ? ` Try again in ${again} s.` : "";
    super((problem.detail || problem.reason || `The device answered ${status}.`) + wait);
    this.status = status;
    this.reason = problem.reason || "";
  }
}

const TOKEN = "token";
const ACCESS = "access";
const LEVELS = ["viewer", "member", "owner"];

const session = {
  get token() { return sessionStorage.getItem(TOKEN) || ""; },
  get access() { return sessionStorage.getItem(ACCESS) || ""; },
  has(level) { return LEVELS.indexOf(this.access) >= LEVELS.indexOf(level); },
  open(opened) {
    sessionStorage.setItem(TOKEN, opened.token);
    sessionStorage.setItem(ACCESS, opened.access);
  },
  close() {
    sessionStorage.clear();
  },
};

async function ask(method, path, body) {
  const headers = {};
  if (session.token) headers.authorization = `Bearer ${session.token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store", redirect: "error", referrerPolicy: "no-referrer",
  }).catch(() => { throw new Error("the device cannot be reached"); });
  const json = (answer.headers.get("content-type") || "").includes("json");
  const value = json ? await answer.json() : null;
  if (answer.ok) return value;
  const refused = new Refused(answer.status, value || {}, answer.headers.get("retry-after"));
  if (answer.status === 401 && session.token && refused.reason === "bad-token") {
    session.close();
    enter("Your session has ended. Log in again.");
  }
  throw refused;
}
