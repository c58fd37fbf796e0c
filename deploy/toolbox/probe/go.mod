module stoa.example/toolbox/probe

go 1.26.0
