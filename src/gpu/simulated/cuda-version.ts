/**
 * Which CUDA a driver brings (NVIDIA CUDA Toolkit release notes, "CUDA Toolkit and Corresponding Driver Versions").
 */

/** First driver branch of each CUDA version, ascending. */
const cudaOfBranch: readonly (readonly [branch: number, cudaVersion: string])[] = [
  [450, "11.0"],
  [455, "11.1"],
  [460, "11.2"],
  [465, "11.3"],
  [470, "11.4"],
  [495, "11.5"],
  [510, "11.6"],
  [515, "11.7"],
  [520, "11.8"],
  [525, "12.0"],
  [530, "12.1"],
  [535, "12.2"],
  [545, "12.3"],
  [550, "12.4"],
  [555, "12.5"],
  [560, "12.6"],
  [565, "12.7"],
  [570, "12.8"],
  [575, "12.9"],
  [580, "13.0"],
  [590, "13.1"],
];

/** The newest CUDA version that a driver such as `580.95.05` supports; `undefined` before the first one listed. */
export function cudaVersionOf(driverVersion: string): string | undefined {
  const branch = Number.parseInt(driverVersion, 10);
  return cudaOfBranch.findLast(([first]) => first <= branch)?.[1];
}
