-- Executions of tools that clients called themselves have no task: they are removed by age.
CREATE INDEX executions_of_calls ON executions (started_at) WHERE task IS NULL;
