DROP TABLE scheduled_messages;
DROP TABLE inbox_attempts;
DROP TABLE inbox;
DROP TABLE outbox;
