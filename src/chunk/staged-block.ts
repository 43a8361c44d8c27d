/** What of a volume lies on a disk of this machine only, and where it goes. */

export interface StagedBlock {
  readonly key: string;
  readonly length: number;
}

/** Where staged blocks go. */
export interface StagingTarget {
  /** Stores a block's object; one try. */
  upload(block: StagedBlock, data: Uint8Array): Promise<void>;
  /** Reads all of a block's object. @throws Error where there is none */
  fetch(block: StagedBlock, into: Uint8Array): Promise<void>;
}

/** What is not uploaded yet. */
export interface PendingUploads {
  readonly blocks: number;
  readonly bytes: number;
  /** Since when the oldest waits, in milliseconds since 1970. */
  readonly oldest?: number | undefined;
  /** How the last upload failed that did. */
  readonly failure?: string | undefined;
}
