/** What long work tells while it goes on. The command line draws it; tests record it. */
export interface Progress {
  /** A unit of work began; the returned handle ends it. */
  begin(label: string): ProgressTask
  /** A line worth keeping, in prose. */
  note(text: string): void
}

export interface ProgressTask {
  /** Replaces the label's trailing detail ("3 of 7"). */
  update(detail: string): void
  /** Ends the task; `summary` is what remains on screen. */
  end(summary?: string): void
}

export const silentProgress: Progress = {
  begin: () => ({ update: () => undefined, end: () => undefined }),
  note: () => undefined,
}
