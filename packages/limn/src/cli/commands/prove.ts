import { proveModels } from '../../lake/index.ts'
import { parseRange } from '../arguments.ts'
import type { Invocation } from '../main.ts'
import { proofsText, proofValue } from '../proof-text.ts'
import { toJson } from '../text.ts'
import { openLake, textOption } from './open.ts'

/** Builds models twice and compares. Ends with 3 when one came out otherwise. */
export default async function prove(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const date = textOption(invocation, 'interval')
  const range = date === undefined ? null : parseRange({ date })
  await using lake = await openLake(invocation)
  const proofs = await proveModels(lake, { select: args, range })
  io.out(io.json ? toJson({ proofs: proofs.map(proofValue) }) : proofsText(proofs, io.width).join('\n'))
  return proofs.some((one) => one.verdict === 'differs') ? 3 : 0
}
