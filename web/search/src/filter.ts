// The filter field: columns offered, values seen among the answers offered as facets.

import type { Answer } from "./api";
import { written } from "./answers";
import { byId, make } from "./dom";

const FACET_VALUES = 12;

export class Filter {
  private readonly field = byId<HTMLInputElement>("where");
  private readonly trouble = byId("trouble");
  private readonly facets = byId("facets");
  private columns: Record<string, string> = {};

  constructor(private readonly onApplied: () => void) {
    byId("filter").addEventListener("submit", (event) => {
      event.preventDefault();
      this.onApplied();
    });
    this.field.addEventListener("search", () => this.field.value || this.onApplied()); // its clear button
  }

  get where(): string | undefined {
    return this.field.value.trim() || undefined;
  }

  focus(): void {
    this.field.focus();
    this.field.select();
  }

  complain(message: string): void {
    this.trouble.textContent = message;
    this.trouble.hidden = !message;
    this.field.setAttribute("aria-invalid", String(!!message));
  }

  offer(columns: Record<string, string>): void {
    this.columns = columns;
    const names = Object.keys(columns);
    this.field.placeholder = names.length ? example(names[0]!, columns[names[0]!]!) : "no attributes in this index";
    byId("columns").replaceChildren(
      ...names.map((name) => {
        const button = make("button", { type: "button", className: "chip" }, name);
        button.addEventListener("click", () => this.insert(quotedName(name) + " "));
        return make("li", {}, button, ` ${columns[name]}`);
      }),
    );
  }

  /** Values that tell these answers apart, each with how many have it. */
  offerValues(answers: Answer[]): void {
    const rows: HTMLElement[] = [];
    for (const [name, type] of Object.entries(this.columns)) {
      if (type !== "string" && type !== "boolean") continue;
      const seen = new Map<unknown, number>();
      for (const { attributes } of answers) {
        const value = attributes[name];
        if (value != null) seen.set(value, (seen.get(value) ?? 0) + 1);
      }
      const all = seen.size === 1 && [...seen.values()][0] === answers.length;
      if (all || seen.size < 1 || seen.size > FACET_VALUES) continue;
      const chips = [...seen]
        .sort((a, b) => b[1] - a[1])
        .map(([value, count]) => {
          const button = make("button", { type: "button", className: "chip" }, written(value), " ", make("small", {}, String(count)));
          button.addEventListener("click", () => this.require(`${quotedName(name)} = ${literal(value)}`));
          return button;
        });
      rows.push(make("div", { className: "facet" }, make("span", {}, name), ...chips));
    }
    this.facets.replaceChildren(...rows);
  }

  private insert(text: string): void {
    this.field.setRangeText(text, this.field.selectionStart ?? 0, this.field.selectionEnd ?? 0, "end");
    this.field.focus();
  }

  private require(condition: string): void {
    const now = this.where;
    if (!now?.includes(condition)) this.field.value = !now ? condition : `${/\bor\b/i.test(now) ? `(${now})` : now} and ${condition}`;
    this.onApplied();
  }
}

function example(name: string, type: string): string {
  const value = { string: "= '…'", strings: "contains '…'", numbers: "contains 1", boolean: "= true" }[type] ?? "< 100";
  return `${quotedName(name)} ${value}`;
}

function quotedName(name: string): string {
  return /^[A-Za-z]\w*$/.test(name) && !/^(and|or|not|in|is|null|between|contains|true|false)$/i.test(name)
    ? name
    : "`" + name.replace(/[\\`]/g, "\\$&") + "`";
}

function literal(value: unknown): string {
  return typeof value === "string" ? `'${value.replace(/[\\']/g, "\\$&")}'` : String(value);
}
