/** What every room may use: findings, errors, the clock and logger ports. */
export { type Clock, systemClock, VirtualClock } from "./clock.ts";
export { isErrno } from "./errno.ts";
export { errorText, TrancheError, type TrancheErrorOptions } from "./error.ts";
export {
  type Finding,
  type FindingDetails,
  finding,
  findingLine,
  type Outcome,
  type Place,
  placeText,
  type Subject,
} from "./finding.ts";
export { type FindingCode, findingCodes, type Severity } from "./finding-codes.ts";
export { type LogFields, type Logger, silentLogger } from "./logger.ts";
