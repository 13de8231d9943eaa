import { proveModels } from '../../lake/index.ts'
import { parseRange } from '../arguments.ts'
import type { Invocation } from '../main.ts'
import { proofsText, proofValue } from '../proof-text.ts'
import { toJson } from '../text.ts'
import { openLake, textOption } from './open.ts'

/** Builds models twice and compares. Ends with 3 when one came out otherwise, with 2 when nothing was proven. */
export default async function prove(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const date = textOption(invocation, 'interval')
  const range = date === undefined ? null : parseRange({ date })
  await using lake = await openLake(invocation)
  const proofs = await proveModels(lake, { select: args, range })
  const proven = proofs.filter((one) => one.verdict === 'same' || one.verdict === 'differs').length
  io.out(io.json ? toJson({ proven, proofs: proofs.map(proofValue) }) : proofsText(proofs, io.width).join('\n'))
  if (proven === 0) io.err('Nothing was proven.')
  return proofs.some((one) => one.verdict === 'differs') ? 3 : proven === 0 ? 2 : 0
}
