// IndexedDB with promises, as far as a device needs it.

/** The browser's storage cannot be read or written. */
export class StorageError extends Error {
  override name = "StorageError";
}

export class IndexedBase {
  private constructor(private readonly base: IDBDatabase) {}

  /** `upgrade` makes the stores of a base that is new. */
  static async open(name: string, upgrade: (base: IDBDatabase) => void): Promise<IndexedBase> {
    const asked = indexedDB.open(name, 1);
    asked.onupgradeneeded = () => upgrade(asked.result);
    return new IndexedBase(await answered(asked));
  }

  close(): void {
    this.base.close();
  }

  /** What `work` does is on disk when the promise resolves, or nothing of it is. */
  async change<T>(work: (store: (name: string) => IDBObjectStore) => Promise<T> | T): Promise<T> {
    const change = this.base.transaction([...this.base.objectStoreNames], "readwrite", { durability: "strict" });
    const done = new Promise<void>((resolve, reject) => {
      change.oncomplete = () => resolve();
      change.onabort = () => reject(new StorageError(String(change.error ?? "a change was given up")));
    });
    done.catch(() => undefined);
    try {
      const result = await work((name) => change.objectStore(name));
      await done;
      return result;
    } catch (error) {
      if (change.error === null) abort(change);
      throw error;
    }
  }

  read<T>(store: string, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return answered(work(this.base.transaction(store).objectStore(store)));
  }
}

/** Inside of `change`, only requests of its stores may be awaited. */
export function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(new StorageError(String(request.error)));
  });
}

function abort(change: IDBTransaction): void {
  try {
    change.abort();
  } catch {
    // it has ended already
  }
}
