// The grid of answers, or of a sample of the products.

import { picture, type Answer } from "./api";
import { byId, make } from "./dom";

const SHOWN_ATTRIBUTES = 4;

export class AnswerGrid {
  private readonly list = byId("answers");
  private readonly urls: string[] = [];
  private loading = new AbortController();
  readonly answers: Answer[] = [];

  constructor(private readonly onChosen: (answer: Answer) => void) {
    this.list.addEventListener("keydown", (event) => this.move(event));
  }

  clear(): void {
    this.loading.abort();
    this.loading = new AbortController();
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
    this.answers.length = 0;
    this.list.replaceChildren();
  }

  add(answers: Answer[], metric: string): void {
    this.answers.push(...answers);
    this.list.append(...answers.map((answer) => this.card(answer, metric)));
  }

  focusFirst(): void {
    this.list.querySelector("button")?.focus();
  }

  private card(answer: Answer, metric: string): HTMLLIElement {
    const image = make("span", { className: "picture" });
    void this.fill(image, answer);
    const attributes = Object.entries(answer.attributes)
      .slice(0, SHOWN_ATTRIBUTES)
      .map(([name, value]) => make("span", { title: name }, typeof value === "string" ? value : `${name} ${written(value)}`));
    const button = make(
      "button",
      { type: "button", title: `Search on from ${answer.id}` },
      image,
      make("span", { className: "name" }, answer.id),
      make("span", { className: "attributes" }, ...attributes),
    );
    if (answer.score !== undefined)
      button.append(make("span", { className: "score", title: metric === "l2" ? "Squared distance" : "Cosine" }, scored(answer.score)));
    button.addEventListener("click", () => this.onChosen(answer));
    return make("li", {}, button);
  }

  private async fill(place: HTMLElement, answer: Answer): Promise<void> {
    if (!answer.thumbnail) return;
    try {
      const blob = await picture(answer.thumbnail, this.loading.signal);
      const url = URL.createObjectURL(blob);
      this.urls.push(url);
      place.append(make("img", { src: url, alt: "", draggable: false }));
    } catch {
      place.classList.add("none");
    }
  }

  /** Arrow keys move among the cards as they lie on the screen. */
  private move(event: KeyboardEvent): void {
    const buttons = [...this.list.querySelectorAll("button")];
    const here = buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (here < 0) return;
    const top = (button?: HTMLElement) => button?.getBoundingClientRect().top ?? 0;
    const columns = buttons.filter((button) => Math.abs(top(button) - top(buttons[0])) < 2).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const next = step === undefined ? undefined : buttons[here + step];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }
}

export function written(value: unknown): string {
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "number" ? value.toLocaleString() : String(value);
}

function scored(score: number): string {
  return Math.abs(score) < 100 ? score.toFixed(3) : score.toPrecision(4);
}
