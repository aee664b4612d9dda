// The photo searched for, and the box drawn on it.

import { byId } from "./dom";

/** In pixels of the photo as people see it. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const SMALLEST = 12; // screen pixels; less is a click, not a box

export class PhotoStage {
  private readonly stage = byId("stage");
  private readonly preview = byId<HTMLImageElement>("preview");
  private readonly frame = byId("box");
  private start: { x: number; y: number } | null = null;
  private box: Box | null = null;

  /** `onBox` is told of every box finished, and of null when it is taken away. */
  constructor(private readonly onBox: (box: Box | null) => void) {
    this.stage.addEventListener("pointerdown", (event) => this.begin(event));
    this.stage.addEventListener("pointermove", (event) => this.start && this.draw(this.span(event)));
    this.stage.addEventListener("pointerup", (event) => this.finish(event));
    this.stage.addEventListener("pointercancel", () => this.abandon());
    new ResizeObserver(() => this.place()).observe(this.preview);
  }

  show(picture: Blob | null, box: Box | null, boxable: boolean): void {
    if (this.preview.src) URL.revokeObjectURL(this.preview.src);
    this.stage.hidden = !picture;
    this.stage.classList.toggle("boxable", boxable);
    if (picture) this.preview.src = URL.createObjectURL(picture);
    else this.preview.removeAttribute("src");
    this.box = box;
    this.place();
  }

  private begin(event: PointerEvent): void {
    if (!this.stage.classList.contains("boxable") || event.button !== 0 || !this.preview.naturalWidth) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    this.start = this.point(event);
  }

  private finish(event: PointerEvent): void {
    if (!this.start) return;
    const span = this.span(event);
    this.start = null;
    if (span.right - span.left >= SMALLEST && span.bottom - span.top >= SMALLEST) {
      const scale = this.preview.naturalWidth / this.preview.clientWidth;
      this.box = {
        left: Math.floor(span.left * scale),
        top: Math.floor(span.top * scale),
        right: Math.ceil(span.right * scale),
        bottom: Math.ceil(span.bottom * scale),
      };
      this.onBox(this.box);
    } else if (this.box) {
      this.box = null;
      this.onBox(null);
    }
    this.place();
  }

  private abandon(): void {
    this.start = null;
    this.place();
  }

  private point(event: PointerEvent): { x: number; y: number } {
    const area = this.preview.getBoundingClientRect();
    const within = (value: number, most: number) => Math.min(Math.max(value, 0), most);
    return { x: within(event.clientX - area.left, area.width), y: within(event.clientY - area.top, area.height) };
  }

  private span(event: PointerEvent): Box {
    const [a, b] = [this.start ?? this.point(event), this.point(event)];
    return {
      left: Math.min(a.x, b.x),
      top: Math.min(a.y, b.y),
      right: Math.max(a.x, b.x),
      bottom: Math.max(a.y, b.y),
    };
  }

  private place(): void {
    this.frame.hidden = !this.box;
    if (!this.box || !this.preview.naturalWidth) return;
    const scale = this.preview.clientWidth / this.preview.naturalWidth;
    this.draw({
      left: this.box.left * scale,
      top: this.box.top * scale,
      right: this.box.right * scale,
      bottom: this.box.bottom * scale,
    });
  }

  private draw(span: Box): void {
    this.frame.hidden = false;
    Object.assign(this.frame.style, {
      left: `${span.left}px`,
      top: `${span.top}px`,
      width: `${span.right - span.left}px`,
      height: `${span.bottom - span.top}px`,
    });
  }
}
