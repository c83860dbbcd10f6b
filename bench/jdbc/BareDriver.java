import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;

/**
 * The floor of bench/connect.py: rows through a JDBC driver alone, without any Kafka.
 *
 * <pre>java BareDriver.java read|write URL USER PASSWORD TABLE ROWS BATCH</pre>
 *
 * Prints rows a second. `read` streams the table and takes every column as its type; `write` fills it with batches of
 * statements, one transaction for each batch. What is done once before a tenth of the rows warms the compiler and is not counted.
 */
public class BareDriver {
    public static void main(String[] arguments) throws SQLException {
        String table = arguments[4];
        int rows = Integer.parseInt(arguments[5]);
        int batch = Integer.parseInt(arguments[6]);
        try (Connection connection = DriverManager.getConnection(arguments[1], arguments[2], arguments[3])) {
            connection.setAutoCommit(false);
            boolean reads = arguments[0].equals("read");
            if (reads) {
                read(connection, table, rows / 10);
            } else {
                write(connection, table, rows, rows / 10, batch);
            }
            long started = System.nanoTime();
            long done = reads ? read(connection, table, rows) : write(connection, table, 0, rows, batch);
            System.out.println(Math.round(done / ((System.nanoTime() - started) / 1e9)));
        }
    }

    private static long read(Connection connection, String table, int most) throws SQLException {
        long done = 0;
        long used = 0;
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(1000);
            try (ResultSet result = statement.executeQuery("SELECT id, name, email, amount, created_at FROM " + table + " ORDER BY id")) {
                while (done < most && result.next()) {
                    used += result.getInt(1) + result.getString(2).length() + result.getString(3).length()
                        + (long) result.getDouble(4) + result.getTimestamp(5).getTime();
                    done++;
                }
            }
        }
        if (used == 42) {
            System.err.println("nothing is optimized away");
        }
        return done;
    }

    private static long write(Connection connection, String table, int first, int count, int batch) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(
                "INSERT INTO " + table + "(id, name, email, amount, created_at) VALUES (?, ?, ?, ?, ?)")) {
            for (int number = first; number < first + count; number++) {
                statement.setInt(1, number);
                statement.setString(2, "name of " + number);
                statement.setString(3, "somebody" + number + "@example.org");
                statement.setDouble(4, number * 0.5);
                statement.setTimestamp(5, new Timestamp(1_627_815_857_000L + number));
                statement.addBatch();
                if ((number - first + 1) % batch == 0 || number == first + count - 1) {
                    statement.executeBatch();
                    connection.commit();
                }
            }
        }
        return count;
    }
}
