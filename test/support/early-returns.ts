import { join, relative } from 'node:path'
import { type Node, SyntaxKind } from 'typescript/unstable/ast'
import {
  isBlock,
  isCaseClause,
  isDefaultClause,
  isForOfStatement,
  isReturnStatement,
  isSourceFile,
  isTryStatement,
  isVariableDeclarationList,
  isVariableStatement,
} from 'typescript/unstable/ast/is'
import { API, type Checker, type Type } from 'typescript/unstable/sync'
import { root } from './lake.ts'

/**
 * Promises that are returned, not awaited, from where something is given back or an error is caught: inside `try`, or after
 * `using` and `await using`. What is given back is then gone while the promise is still at work (a session of DuckDB that is
 * closed under a query ends the process), and its error passes the `catch` by. The compiler tells what is a promise.
 */
export function earlyReturns(files: readonly string[]): readonly string[] {
  const api = new API({ cwd: root })
  try {
    const config = join(root, 'tsconfig.json')
    const project = api.updateSnapshot({ openProject: config }).getProject(config)
    if (!project) throw new Error(`${config} is no project`)
    const out: string[] = []
    for (const file of files) {
      const source = project.program.getSourceFile(file)
      if (!source) throw new Error(`${file} is not in the project`)
      for (const returned of returnedEarly(source)) {
        if (!isPromise(project.checker, project.checker.getTypeAtLocation(returned))) continue
        const line = source.text.slice(0, returned.end).split('\n').length
        out.push(`${relative(root, file)}:${line} returns a promise that is not awaited`)
      }
    }
    return out
  } finally {
    api.close()
  }
}

/** Expressions returned from where something happens on the way out. */
function returnedEarly(source: Node): readonly Node[] {
  const out: Node[] = []
  const visit = (node: Node, guarded: boolean): void => {
    if (isReturnStatement(node) && guarded && node.expression && node.expression.kind !== SyntaxKind.AwaitExpression)
      out.push(node.expression)
    if (isTryStatement(node)) {
      visit(node.tryBlock, true)
      if (node.catchClause) visit(node.catchClause, guarded || node.finallyBlock !== undefined)
      if (node.finallyBlock) visit(node.finallyBlock, guarded)
    } else if (isFunction(node)) each(node, false)
    else if (isForOfStatement(node) && isUsing(node.initializer)) each(node, true)
    else if (isBlock(node) || isSourceFile(node) || isCaseClause(node) || isDefaultClause(node)) inOrder(node, guarded)
    else each(node, guarded)
  }
  /** Statements: what one takes is held until the last of them has ended. */
  const inOrder = (node: Node, guarded: boolean): void => {
    let held = guarded
    node.forEachChild((child) => {
      visit(child, held)
      held ||= isVariableStatement(child) && isUsing(child.declarationList)
      return undefined
    })
  }
  const each = (node: Node, guarded: boolean): void => {
    node.forEachChild((child) => {
      visit(child, guarded)
      return undefined
    })
  }
  visit(source, false)
  return out
}

const functions: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.FunctionExpression,
  SyntaxKind.ArrowFunction,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.Constructor,
  SyntaxKind.GetAccessor,
  SyntaxKind.SetAccessor,
  SyntaxKind.ClassStaticBlockDeclaration,
])

function isFunction(node: Node): boolean {
  return functions.has(node.kind)
}

/** A flag that lists of declarations have which are `using` or `await using`. */
const usingFlag = 4

function isUsing(node: Node): boolean {
  return isVariableDeclarationList(node) && (node.flags & usingFlag) !== 0
}

function isPromise(checker: Checker, type: Type | undefined): boolean {
  if (!type) return false
  const parts = type.isUnionType() ? type.getTypes() : [type]
  return parts.some((part) => /^Promise(Like)?</.test(checker.typeToString(part)))
}
