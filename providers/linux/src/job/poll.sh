# Says how a job stands, after waiting up to WAIT seconds for its end, and until it is certain whether it has begun.
sign_of_life
where
judge
settle
await
report
