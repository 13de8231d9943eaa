import { environmentScenarios } from './environments.ts'
import { lakeScenarios } from './lakes.ts'
import type { LakeScenario } from './scenario.ts'
import { shapeScenarios } from './shapes.ts'

/** All facts that are played on lakes. */
export const lakeFacts: readonly LakeScenario[] = [...lakeScenarios, ...environmentScenarios, ...shapeScenarios]
