# Says how a job stands, after waiting up to WAIT seconds for its end.
where
judge
await
report
