from postgres_fixtures import postgres as postgres
