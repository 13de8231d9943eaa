import { defineLake } from 'limn'

export default defineLake({ name: 'shop' })
