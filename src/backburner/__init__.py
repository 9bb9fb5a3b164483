"""Long jobs for Python web apps, durable in the SQL database the app already has."""
