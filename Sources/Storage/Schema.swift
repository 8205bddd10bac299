internal import GRDB

/// The tables. A step that was released is never changed; a later form is another step.
enum Schema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1: users, bindings, calls") { db in
      try db.execute(
        sql: """
          CREATE TABLE user (
            name TEXT NOT NULL PRIMARY KEY,
            realm TEXT NOT NULL,
            -- RFC 8760: H(name:realm:password), 32 and 64 hexadecimal digits
            ha1_md5 TEXT NOT NULL,
            ha1_sha256 TEXT NOT NULL,
            context TEXT NOT NULL,
            caller_name TEXT,
            caller_number TEXT
          ) STRICT;

          -- octets as the phone sent them
          CREATE TABLE binding (
            user BLOB NOT NULL,
            contact BLOB NOT NULL,
            -- thousandths
            q INTEGER,
            -- seconds since 1970
            expires INTEGER NOT NULL,
            call_id BLOB NOT NULL,
            cseq INTEGER NOT NULL,
            transport TEXT NOT NULL,
            remote TEXT NOT NULL,
            local TEXT NOT NULL,
            user_agent BLOB NOT NULL,
            -- values of Path, a line each
            path BLOB,
            instance BLOB,
            reg_id INTEGER,
            PRIMARY KEY (user, contact)
          ) STRICT, WITHOUT ROWID;

          CREATE TABLE call (
            id TEXT NOT NULL PRIMARY KEY,
            -- milliseconds since 1970
            start_ms INTEGER NOT NULL,
            answer_ms INTEGER,
            end_ms INTEGER NOT NULL,
            caller TEXT NOT NULL,
            caller_name TEXT NOT NULL,
            callee TEXT NOT NULL,
            context TEXT NOT NULL,
            user TEXT,
            source TEXT NOT NULL,
            generation INTEGER NOT NULL,
            status INTEGER NOT NULL,
            -- Q.850
            cause INTEGER NOT NULL,
            ended_by TEXT NOT NULL,
            -- JSON
            attempts TEXT NOT NULL,
            vars TEXT NOT NULL,
            media TEXT NOT NULL,
            script_error TEXT
          ) STRICT;
          CREATE INDEX call_end ON call (end_ms);
          CREATE INDEX call_caller ON call (caller, start_ms);
          CREATE INDEX call_callee ON call (callee, start_ms);
          """)
    }
    // Ordered by time and by nothing else: each index of another order would cost a record more than the record does.
    migrator.registerMigration("2: calls by their end") { db in
      try db.execute(
        sql: """
          CREATE TABLE call_by_end (
            id TEXT NOT NULL,
            -- milliseconds since 1970
            start_ms INTEGER NOT NULL,
            answer_ms INTEGER,
            end_ms INTEGER NOT NULL,
            caller TEXT NOT NULL,
            caller_name TEXT NOT NULL,
            callee TEXT NOT NULL,
            context TEXT NOT NULL,
            user TEXT,
            source TEXT NOT NULL,
            generation INTEGER NOT NULL,
            status INTEGER NOT NULL,
            -- Q.850
            cause INTEGER NOT NULL,
            ended_by TEXT NOT NULL,
            -- JSON
            attempts TEXT NOT NULL,
            vars TEXT NOT NULL,
            media TEXT NOT NULL,
            script_error TEXT,
            PRIMARY KEY (end_ms, id)
          ) STRICT, WITHOUT ROWID;
          INSERT INTO call_by_end SELECT * FROM call ORDER BY end_ms;
          DROP TABLE call;
          ALTER TABLE call_by_end RENAME TO call;
          """)
    }
    migrator.registerMigration("3: transfers of calls") { db in
      try db.execute(
        sql: """
          ALTER TABLE call ADD COLUMN transferred_by TEXT;
          ALTER TABLE call ADD COLUMN transfer_target TEXT;
          """)
    }
    return migrator
  }
}
