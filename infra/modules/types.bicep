@export()
@description('A container of evidence.')
type evidenceContainer = {
  @description('Name of the container, as sources.json has it under "container".')
  @minLength(3)
  @maxLength(63)
  name: string

  @description('Days for which nothing in it can be changed or deleted, counted from each blob\'s creation. 0: no such policy.')
  @minValue(0)
  @maxValue(146000)
  days: int

  @description('true once its policy has been locked (see README, "Lock"): the template then leaves the policy alone.')
  lock: bool
}
