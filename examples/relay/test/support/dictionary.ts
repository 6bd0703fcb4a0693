/** A small dictionary, trained with the zstd command on messages of Jetstream that were made up. */
export const ZSTD_DICTIONARY: Uint8Array = Buffer.from(
  'N6Qw7NJ/VjAnEMgKUh3///////+XArZ7jWzbIoSpWbibjLS7WQrZ7pXUMqCqgkEBgwIAAAAUk9EOAAAABADFBgVHTwEHwAQC' +
    'CcSCAAAAAKOOwjAAAACURwEAQAMAHAwAAAAAAMSSwWnZAAAAAABoAACgFQAAAAAAAAEAAAAEAAAACAAAADc1LCJraW5kIjoi' +
    'Y29tbWl0IiwiY29tbWl0Ijp7InJldiI6IjNtNTI3NSIsIm9wZXJheS5mZWVkLnBvc3QiLCJya2V5IjoiM2wyNCIsInJlY29y' +
    'ZCI6eyIkdHlwZSI6ImFwcC5hYWFhYWFhYSIsInRpbWVfdXMiOjE4MA==',
  'base64',
)
