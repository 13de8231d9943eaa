// Checks files as the software they are for reads them: `check kubernetes FILE`, `check dockerfile FILE`.
// A member that the type does not have, or an instruction that is none, is an error.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := check(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(kind, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if kind == "dockerfile" {
		return dockerfile(text)
	}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		if err := manifest(document); err != nil {
			return err
		}
	}
	return nil
}

func manifest(document []byte) error {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	switch head.Kind {
	case "CronJob":
		var job batchv1.CronJob
		if err := yaml.UnmarshalStrict(document, &job); err != nil {
			return err
		}
		if len(job.Spec.JobTemplate.Spec.Template.Spec.Containers) == 0 {
			return fmt.Errorf("the CronJob %s has no container", job.Name)
		}
		fmt.Printf("CronJob %s %q\n", job.Name, job.Spec.Schedule)
		return nil
	case "PersistentVolumeClaim":
		var claim corev1.PersistentVolumeClaim
		if err := yaml.UnmarshalStrict(document, &claim); err != nil {
			return err
		}
		fmt.Printf("PersistentVolumeClaim %s\n", claim.Name)
		return nil
	default:
		return fmt.Errorf("unexpected kind %q", head.Kind)
	}
}

func dockerfile(text []byte) error {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if len(parsed.Warnings) > 0 {
		return fmt.Errorf("%s", parsed.Warnings[0].Short)
	}
	var found []string
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		found = append(found, rule+": "+message)
	}})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%v", found)
	}
	for _, stage := range stages {
		fmt.Printf("stage %s from %s, %d instructions\n", stage.Name, stage.BaseName, len(stage.Commands))
	}
	return nil
}
