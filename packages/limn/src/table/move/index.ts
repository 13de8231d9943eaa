/** Every file that tables lead to, found and put under another folder. */
export * from './transplant.ts'
export * from './tree.ts'
