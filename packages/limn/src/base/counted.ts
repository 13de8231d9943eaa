/** `1 file`, `2,000 files`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  const digits = Number.isSafeInteger(count)
    ? String(count).replace(/\B(?=(\d{3})+$)/g, ',')
    : count.toLocaleString('en')
  return `${digits} ${count === 1 ? one : many}`
}
