import type { Migration } from './index.js';

/**
 * Where the chain was cut by its retention: the last row that is gone, signed. Rows up to it may be deleted, and no
 * other; the marker moves forward only.
 */
export const auditCut: Migration = {
  id: 302,
  sql: `
    CREATE TABLE audit_cut (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      seq INTEGER NOT NULL,
      hash BLOB NOT NULL,
      cut_at INTEGER NOT NULL,
      key BLOB NOT NULL,
      sig BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_cut_forward BEFORE UPDATE ON audit_cut WHEN NEW.seq <= OLD.seq
      BEGIN SELECT RAISE(ABORT, 'the audit table is cut forward only'); END;
    CREATE TRIGGER audit_cut_stays BEFORE DELETE ON audit_cut
      BEGIN SELECT RAISE(ABORT, 'the audit table is append-only'); END;
    DROP TRIGGER audit_no_delete;
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
      WHEN OLD.seq > coalesce((SELECT seq FROM audit_cut), 0)
      BEGIN SELECT RAISE(ABORT, 'the audit table is append-only'); END;
  `,
};
