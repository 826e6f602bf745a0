/** The system's error codes on errors of Node's file and process calls. */

/** Whether `error` carries `code`, such as `ENOENT`. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
