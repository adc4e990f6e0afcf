/** Where a repository is, as its `Repository` object and its Secret say. */

/** A directory, or a bucket of an object store that speaks S3. */
export type RepositoryPlace =
  | { readonly directory: string }
  | {
      /** Such as `https://s3.example.org`. */
      readonly endpoint: string;
      readonly bucket: string;
      readonly region: string;
      /** What the names of all objects begin with. */
      readonly prefix: string;
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
      /** PEM, trusted instead of what the image trusts. */
      readonly caBundle?: string;
      readonly forcePathStyle: boolean;
    };
