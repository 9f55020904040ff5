import { EXAMPLE } from "./example.js";
import { costs, count, number, row } from "./ranking.js";

const $ = (id) => document.getElementById(id);
const fields = {
  key: $("key"), query: $("query"), passages: $("passages"), top: $("top"), method: $("method"),
  instruction: $("instruction"),
};

// The result that is shown, with its request, for the buttons that copy them.
let shown = null;
let running = null;

const address = (path) => new URL(path, document.baseURI).href;

function passages() {
  const lines = document.querySelector("[name=separator]:checked").value === "line";
  return fields.passages.value.split(lines ? /\n/ : /\n[^\S\n]*\n/)
    .map((passage) => passage.trim()).filter(Boolean);
}

function headers() {
  const key = fields.key.value.trim();
  // A header holds no other characters; fetch would fail as if the service were away.
  if (/[^\x20-\x7e]/.test(key)) {
    throw new Mistake("An API key has only plain letters, digits and signs.", fields.key);
  }
  return { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
}

/** The body of the request; throws a Mistake that names the field to mend. */
function request() {
  const body = { query: fields.query.value.trim(), documents: passages(), return_documents: false };
  if (!body.query) throw new Mistake("Write a query first.", fields.query);
  if (!body.documents.length) throw new Mistake("Write a passage or more first.", fields.passages);
  const top = fields.top.value.trim();
  if (top) body.top_n = Number(top);
  if (top && !(Number.isInteger(body.top_n) && body.top_n > 0)) {
    throw new Mistake("How many to show must be a whole number of at least 1.", fields.top);
  }
  for (const name of ["method", "instruction"]) {
    if (fields[name].value.trim()) body[name] = fields[name].value.trim();
  }
  return body;
}

/** An error in words for the person at the page, and the field to mend, if there is one. */
class Mistake extends Error {
  constructor(words, field = null) {
    super(words);
    this.field = field;
  }
}

async function said(response) {
  const body = await response.json().catch(() => null);
  const words = [body?.detail, body?.message, body?.error?.message, body?.error]
    .find((one) => typeof one === "string" && one);
  return words ? ` It says: ${words}` : "";
}

async function mistake(response) {
  const { status } = response;
  const words = await said(response);
  if (status === 401 || status === 403) {
    $("key-field").hidden = false;
    return new Mistake(fields.key.value
      ? "The service does not accept this API key." : "The service wants an API key.", fields.key);
  }
  if (status === 429) {
    const wait = Number(response.headers.get("Retry-After"));
    const when = wait > 0 ? `in ${count(wait, "second")}` : "in a moment";
    return new Mistake(`The service is busy. Try again ${when}.`);
  }
  if (status === 413) return new Mistake(`This is more than the service takes at once.${words}`);
  if (status === 502) return new Mistake(`The service cannot reach its model.${words}`);
  if (status === 503) return new Mistake(`The service is not ready. Try again soon.${words}`);
  if (status === 504) return new Mistake(`Ranking took longer than the service allows.${words}`);
  if (status < 500) return new Mistake(`The service cannot rank this.${words}`);
  return new Mistake(`The service failed (status ${status}).${words}`);
}

/** Asks the service; what comes of it is JSON, or a Mistake is thrown. */
async function ask(path, options = {}) {
  let response;
  const sent = headers();
  try {
    response = await fetch(address(path), { headers: sent, cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Mistake("The service does not answer. It may have been stopped, or the network is away.");
  }
  if (!response.ok) throw await mistake(response);
  return response.json();
}

function complain(error, focus = true) {
  // Beside the field to mend, where there is one; a phone may show no more of the form.
  (error.field ?? $("clock")).after($("error"));
  $("error").textContent = error.message;
  if (!error.field) return;
  error.field.setAttribute("aria-invalid", "true");
  error.field.setAttribute("aria-errormessage", "error");
  const folded = error.field.closest("details");
  if (folded) folded.open = true;
  if (focus) error.field.focus();
}

function calm() {
  $("error").textContent = "";
  for (const field of Object.values(fields)) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-errormessage");
  }
}

function busy(control) {
  if (!control && document.activeElement === $("cancel")) $("rank").focus();
  running = control;
  // A disabled button would lose the focus.
  $("rank").setAttribute("aria-disabled", String(Boolean(control)));
  $("cancel").hidden = !control;
  $("results").setAttribute("aria-busy", String(Boolean(control)));
}

async function rank() {
  if (running) return;
  calm();
  let timer;
  const started = performance.now();
  try {
    const body = request();
    busy(new AbortController());
    $("status").textContent = `Ranking ${count(body.documents.length, "passage")} …`;
    timer = setInterval(() => {
      $("clock").textContent = `${Math.round((performance.now() - started) / 1000)} s`;
    }, 1000);
    const { signal } = running;
    const answer = await ask("v1/rerank", { method: "POST", body: JSON.stringify(body), signal });
    show(body, answer);
    const first = answer.results[0];
    $("status").textContent = `Ranked ${count(body.documents.length, "passage")} in `
      + `${number(answer.usage.seconds, 2)} s.${first ? ` First is passage ${first.index + 1}.` : ""}`;
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof Mistake)) throw error;
    hide();
    $("status").textContent = error.name === "AbortError" ? "Cancelled." : "";
    if (error instanceof Mistake) complain(error);
  } finally {
    clearInterval(timer);
    $("clock").textContent = "";
    busy(null);
  }
}

function hide() {
  // What is hidden cannot keep the focus.
  if ($("found").contains(document.activeElement)) $("status").focus();
  shown = null;
  $("found").hidden = true;
  $("empty").hidden = false;
}

/** The request as a command for a POSIX shell; the key stays in the shell's environment. */
function command(body) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = fields.key.value.trim() ? ' \\\n  -H "Authorization: Bearer $RANKPROMPT_KEY"' : "";
  return `curl ${quote(address("v1/rerank"))} \\\n  -H 'Content-Type: application/json'${key} \\\n`
    + `  --data-raw ${quote(JSON.stringify(body))}`;
}

function show(body, answer) {
  shown = { json: JSON.stringify(answer, null, 2), curl: command(body) };
  $("asked").textContent = body.query;
  const all = body.documents.length;
  const part = answer.results.length < all ? `${answer.results.length} of ` : "";
  $("caption").textContent = `${part}${count(all, "passage")}, best first.`
    + (answer.meaning ? ` Score: ${answer.meaning}.` : "");
  $("rows").replaceChildren(
    ...answer.results.map((result, place) => row(result, place, body.documents)));
  $("costs").replaceChildren(...costs(answer.usage));
  $("json").textContent = shown.json;
  $("curl").textContent = shown.curl;
  $("copied").textContent = "";
  call(answer.model);
  $("empty").hidden = true;
  $("found").hidden = false;
  fold();
  // On a phone, the ranking lies below the form.
  if ($("heading").getBoundingClientRect().top > 0.7 * innerHeight) $("results").scrollIntoView();
}

/** Cuts long passages, unless the person wants them whole. */
function fold() {
  const texts = [...document.querySelectorAll(".passage")];
  for (const text of texts) text.classList.add("cut");
  $("whole-field").hidden = !texts.some((text) => text.scrollHeight > text.clientHeight + 1);
  for (const text of texts) text.classList.toggle("cut", !$("whole").checked);
}

async function copy(name) {
  try {
    await navigator.clipboard.writeText(shown[name]);
    $("copied").textContent = name === "json" ? "The answer is copied." : "The command is copied.";
  } catch {
    // Without HTTPS, browsers let pages copy on this machine alone.
    $(name).closest("details").open = true;
    getSelection().selectAllChildren($(name));
    $("copied").textContent = "The text is selected: press Ctrl+C to copy it.";
  }
}

function call(model) {
  $("model").textContent = model;
  $("named").hidden = false;
}

async function name() {
  try {
    const { data } = await ask("v1/models");
    call(data.map((one) => one.id).join(", "));
    if (!running && fields.key.getAttribute("aria-invalid")) calm();
  } catch (error) {
    // Nobody has pressed a button: the focus stays, and a key is first asked for by its field alone.
    if (!(error instanceof Mistake)) throw error;
    if (!running && (error.field !== fields.key || fields.key.value)) complain(error, false);
  }
}

const tally = () => { $("count").textContent = count(passages().length, "passage"); };

$("form").addEventListener("submit", (event) => { event.preventDefault(); rank(); });
$("form").addEventListener("input", tally);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); rank(); }
});
$("cancel").addEventListener("click", () => running?.abort());
$("example").addEventListener("click", () => {
  const written = fields.query.value.trim() || fields.passages.value.trim();
  if (written && !confirm("Replace the query and the passages by the example?")) return;
  fields.query.value = EXAMPLE.query;
  fields.passages.value = EXAMPLE.passages;
  document.querySelector("[name=separator][value=line]").checked = true;
  tally();
});
$("whole").addEventListener("change", fold);
fields.key.addEventListener("change", name);
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(button.dataset.copy));
}
tally();
name();
