// The search page: one query after another, each kept so that Back returns to it.

import { ask, keepToken, picture, ServiceError, takeTokenFromFragment, type Answers, type Stats } from "./api";
import { AnswerGrid } from "./answers";
import { byId } from "./dom";
import { Filter } from "./filter";
import { PhotoStage, type Box } from "./photo";

const ANSWERS = 24;
const SAMPLE = 30;

/** What is shown: a sample of the products, or those nearest to a photo (its vector is kept once known) or product. */
type Query =
  | { kind: "sample" }
  | { kind: "photo"; file: File; box: Box | null; vector: number[] | null }
  | { kind: "id"; id: string; thumbnail: string | null };

const trail: Query[] = [];
let query: Query | null = null;
let stats: Stats = { products: 0, metric: "cosine", columns: {}, searches_photos: true };
let nextOffset: number | null = null;
let asking = new AbortController();

const status = byId("status");
const more = byId<HTMLButtonElement>("more");
const file = byId<HTMLInputElement>("file");
const camera = byId<HTMLInputElement>("camera");
const grid = new AnswerGrid((answer) => go({ kind: "id", id: answer.id, thumbnail: answer.thumbnail }));
const filter = new Filter(() => void search(0));
const stage = new PhotoStage((box) => query?.kind === "photo" && go({ kind: "photo", file: query.file, box, vector: null }));

/** Ask something new, as a step that Back undoes. */
function go(next: Query): void {
  const step = query ? (history.state?.step ?? 0) + 1 : 0;
  trail.length = step;
  trail.push(next);
  history[step ? "pushState" : "replaceState"]({ step }, "");
  void show(next);
}

async function show(next: Query): Promise<void> {
  query = next;
  byId("back").hidden = !history.state?.step;
  byId("invitation").classList.toggle("small", next.kind !== "sample");
  const searching = search(0);
  if (next.kind === "photo") {
    stage.show(next.file, next.box, true);
    byId("hint").textContent = next.box ? "Esc searches by the whole photo." : "Drag a box around what you mean.";
  } else if (next.kind === "sample") {
    byId("hint").textContent = "";
    stage.show(null, null, false);
  } else {
    byId("hint").textContent = `Nearest to ${next.id}`;
    stage.show(null, null, false);
    const small = next.thumbnail ? await picture(next.thumbnail).catch(() => null) : null;
    if (query === next) stage.show(small, null, false);
  }
  await searching;
}

/** Answers from `offset` on; from 0 they replace what is shown. */
async function search(offset: number): Promise<void> {
  if (!query) return;
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const page = { where: filter.where, k: ANSWERS, offset };
  more.hidden = true;
  document.body.classList.add("asking");
  try {
    const answers = await answersTo(query, page, signal);
    if (!offset) grid.clear();
    grid.add(answers.results, stats.metric);
    filter.complain("");
    filter.offerValues(grid.answers);
    nextOffset = answers.next_offset ?? null;
    more.hidden = nextOffset === null;
    status.textContent = grid.answers.length ? summary(query, answers) : "Nothing matches.";
  } catch (error) {
    if (!signal.aborted) fail(error);
  } finally {
    if (!signal.aborted) document.body.classList.remove("asking");
  }
}

function summary(asked: Query, { by }: Answers): string {
  if (asked.kind !== "sample") return `${grid.answers.length} answers, nearest first`;
  return `Some of the products${by ? `, by ${by}` : ""}: choose one to see those like it`;
}

async function answersTo(asked: Query, page: { where?: string; k: number; offset: number }, signal: AbortSignal): Promise<Answers> {
  if (asked.kind === "sample") {
    const where = page.where ? `&where=${encodeURIComponent(page.where)}` : "";
    return ask(`v1/sample?n=${SAMPLE}${where}`, undefined, signal);
  }
  if (asked.kind === "id") return ask("v1/search/id", { id: asked.id, ...page }, signal);
  if (asked.vector) return ask("v1/search/vector", { vector: asked.vector, ...page }, signal);
  const form = new FormData();
  form.set("photo", asked.file);
  form.set("vector", "true");
  if (asked.box) form.set("box", [asked.box.left, asked.box.top, asked.box.right, asked.box.bottom].join(","));
  for (const [name, value] of Object.entries(page)) if (value !== undefined) form.set(name, String(value));
  const answers = await ask<Answers>("v1/search/photo", form, signal);
  asked.vector = answers.vector ?? null;
  return answers;
}

function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ServiceError && error.status === 401) {
    byId("key").hidden = false;
    byId("token").focus();
    status.textContent = "This service wants its API token.";
  } else if (filter.where && error instanceof ServiceError && [400, 422].includes(error.status)) {
    filter.complain(message);
    status.textContent = "";
  } else {
    status.textContent = message;
  }
}

function searchBy(picked: File | null | undefined): void {
  if (picked) go({ kind: "photo", file: picked, box: null, vector: null });
}

async function start(): Promise<void> {
  try {
    stats = await ask<Stats>("v1/stats");
  } catch (error) {
    fail(error);
    return;
  }
  byId("key").hidden = true;
  byId("size").textContent = `${stats.products.toLocaleString()} products`;
  filter.offer(stats.columns);
  byId("drop").hidden = !stats.searches_photos;
  if (query) return;
  if (stats.products) go({ kind: "sample" });
  else status.textContent = "The index is empty: add photos with lykeion index add, then open this page again.";
}

byId("choose").addEventListener("click", () => file.click());
byId("take").addEventListener("click", () => camera.click());
byId("back").addEventListener("click", () => history.back());
more.addEventListener("click", () => nextOffset !== null && void search(nextOffset));
for (const input of [file, camera]) {
  input.addEventListener("change", () => {
    searchBy(input.files?.[0]);
    input.value = "";
  });
}
byId("key").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(byId<HTMLInputElement>("token").value);
  void start();
});
document.addEventListener("paste", (event) => {
  searchBy([...(event.clipboardData?.files ?? [])].find((item) => item.type.startsWith("image/")));
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dragging"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  searchBy(event.dataTransfer?.files[0]);
});
document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (query?.kind === "photo" && query.box) go({ kind: "photo", file: query.file, box: null, vector: null });
    else if (history.state?.step) history.back();
  } else if (typing || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  } else if (event.key === "/") {
    event.preventDefault();
    filter.focus();
  } else if (event.key.startsWith("Arrow") && !(document.activeElement instanceof HTMLButtonElement)) {
    event.preventDefault();
    grid.focusFirst();
  }
});
window.addEventListener("popstate", (event) => {
  const before = trail[event.state?.step ?? 0];
  if (before) void show(before);
});

takeTokenFromFragment();
void start();
